"""What is known of a train data directory, as values, as JSON and as text. `describe` finds it out."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from darts_train.dataset.describing.bands import PERCENTS, BandProfile
from darts_train.dataset.describing.column_text import column_lines, plain_columns, suspect_lines
from darts_train.dataset.describing.columns import PatchTable
from darts_train.dataset.describing.splits import SplitPreview
from darts_train.dataset.describing.suspects import Suspects
from darts_train.dataset.describing.tables import Distinct, RegionCount, SceneCount
from darts_train.dataset.describing.text import (
    band_table,
    counted,
    distinct_words,
    scene_lines,
    split_lines,
    table,
    top_regions,
    wrap,
)  # fmt: skip
from darts_train.dataset.lit_pixels import LitNumbers
from darts_train.dataset.statistics import BandStatistics
from darts_train.raster.band import Band

ALL = "all patches"


@dataclass(frozen=True)
class ClassCount:
    """One class: its pixels, their share of all labelled pixels (0 where there is none), patches that have it."""

    name: str
    pixels: int
    share: float
    patches: int


@dataclass(frozen=True, eq=False)
class Description:
    """What a set holds.

    Attributes:
        directory: the set.
        data_hash: its identity.
        patches: number of patches.
        patch_size: side of a patch, pixels.
        scenes: number of scenes that gave patches.
        positive: number of patches with a foreground pixel.
        regions: patches per region, alphabetical.
        bands: encodings.
        profiles: of each band, over the patches that `statistics_of` names.
        statistics_of: these patches in words.
        lit: numbers of the pixels that are not black, of the same patches; None where nobody asked.
        classes: pixels and patches per class, in the order of their indices.
        ignored_share: share of all pixels that count nowhere; 0 where there are none.
        scene_count: scenes done and left out; None where the set does not say.
        groups: of patches.
        dates: of acquisition.
        splits: what the configuration would make of it.
        columns: what the columns say of the patches.
        suspects: patches worth a look.
        positive_pixels: foreground pixels of each patch, int64 [n].
        page: the page that was written, if any.
        stats_file: the file of numbers that was written and what it holds, one line; empty where none was.
    """

    directory: Path
    data_hash: str
    patches: int
    patch_size: int
    scenes: int
    positive: int
    regions: tuple[RegionCount, ...]
    bands: tuple[Band, ...]
    profiles: tuple[BandProfile, ...]
    statistics_of: str
    lit: tuple[LitNumbers, ...] | None
    classes: tuple[ClassCount, ...]
    ignored_share: float
    scene_count: SceneCount | None
    groups: Distinct
    dates: Distinct
    splits: SplitPreview
    columns: PatchTable
    suspects: tuple[Suspects, ...]
    positive_pixels: np.ndarray = field(repr=False)
    page: Path | None = None
    stats_file: str = ""

    @property
    def statistics(self) -> tuple[BandStatistics, ...]:
        """Count, range, mean and spread of each band."""
        return tuple(profile.statistics for profile in self.profiles)

    @property
    def class_shares(self) -> dict[str, float]:
        """Share of the labelled pixels per class, by name."""
        return {each.name: each.share for each in self.classes}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        return {
            "directory": str(self.directory),
            "data_hash": self.data_hash,
            "patches": self.patches,
            "patch_size": self.patch_size,
            "scenes": self.scenes,
            "positive": self.positive,
            "regions": [_plain_region(region) for region in self.regions],
            "bands": [_plain_band(*pair) for pair in zip(self.bands, self.profiles, strict=True)],
            "statistics_of": self.statistics_of,
            "classes": self.class_shares,
            "class_pixels": {each.name: each.pixels for each in self.classes},
            "class_patches": {each.name: each.patches for each in self.classes},
            "ignored_share": self.ignored_share,
            "scene_table": None if self.scene_count is None else _plain_scenes(self.scene_count),
            "groups": asdict(self.groups),
            "dates": asdict(self.dates),
            "splits": _plain_splits(self.splits),
            "columns": plain_columns(self.columns),
            "suspects": [asdict(each) for each in self.suspects],
            "page": None if self.page is None else str(self.page),
            "stats_file": self.stats_file or None,
        }

    def summary(self) -> str:
        """Tables for the terminal, at most 80 columns wide."""
        return "\n".join(_lines(self))


def _lines(found: Description) -> Iterator[str]:
    size = f"{found.patch_size} x {found.patch_size}"
    yield str(found.directory)
    patches, scenes = counted(found.patches, "patch", "patches"), counted(found.scenes, "scene")
    yield f"{patches} of {size} pixels from {scenes}, data hash {found.data_hash[:16]}"
    yield from scene_lines(found.scene_count)
    yield from wrap(f"dates: {distinct_words(found.dates)}; groups: {distinct_words(found.groups, span=False)}")
    yield ""
    if found.regions:
        rows = [(r.region, r.patches, r.positive, f"{r.positive_share:.2%}") for r in top_regions(found.regions)]
        yield from table(("region", "patches", "with positives", "positive pixels"), rows)
        yield ""
    if found.statistics_of != ALL:
        yield f"bands over {found.statistics_of}:"
    yield from band_table(found.profiles)
    yield ""
    yield from table(
        ("class", "patches", "pixels"), [(each.name, each.patches, f"{each.share:.2%}") for each in found.classes]
    )
    yield f"{found.ignored_share:.2%} of all pixels are ignored"
    yield ""
    yield from column_lines(found.columns)
    yield from suspect_lines(found.suspects)
    yield from split_lines(found.splits)
    if found.page is not None:
        yield f"page: {found.page}"
    if found.stats_file:
        yield f"statistics: {found.stats_file}"


def _plain_region(region: RegionCount) -> dict[str, Any]:
    return asdict(region) | {"patches": region.patches, "positive_share": region.positive_share}


def _plain_band(band: Band, profile: BandProfile) -> dict[str, Any]:
    stats, histogram = profile.statistics, profile.histogram
    quantiles = {f"p{percent:02d}": value for percent, value in zip(PERCENTS, profile.quantiles, strict=True)}
    row = asdict(band) | asdict(stats) | {"nodata_share": stats.nodata_share} | quantiles
    plain = {"low": _none_for_nan(histogram.low), "high": _none_for_nan(histogram.high), "counts": histogram.counts}
    return {key: _none_for_nan(value) for key, value in row.items()} | {"histogram": plain}


def _plain_scenes(scenes: SceneCount) -> dict[str, Any]:
    return {
        "done": scenes.done,
        "without_patches": scenes.without_patches,
        "left_out": [{"scene_id": scene, "reason": reason} for scene, reason in scenes.left_out],
    }


def _plain_splits(splits: SplitPreview) -> dict[str, Any]:
    return {
        "options": asdict(splits.split),
        "impossible": splits.impossible or None,
        "warnings": list(splits.warnings),
        "folds": [asdict(fold) for fold in splits.folds],
    }


def _none_for_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
