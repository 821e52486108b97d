"""What is in a train data directory: bands, classes, regions, scenes, dates, and the splits it would give.

Patches are read once, one at a time; what is kept is the count of every code of every band and two numbers per patch.
"""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.files import require_directory
from darts_train.base.progress import track
from darts_train.dataset import layout
from darts_train.dataset.describe_bands import PERCENTS, BandCounts, BandProfile
from darts_train.dataset.describe_splits import SplitPreview, preview_splits
from darts_train.dataset.describe_tables import Distinct, RegionCount, SceneCount, count_regions, count_scenes, distinct
from darts_train.dataset.metadata import read_metadata
from darts_train.dataset.reader import TrainData
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.statistics import BandStatistics
from darts_train.dataset.store import check_arrays, open_arrays
from darts_train.options.learning import Split
from darts_train.raster.band import Band


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
        profiles: of each band, over all patches.
        classes: pixels and patches per class, in the order of their indices.
        ignored_share: share of all pixels that count nowhere; 0 where there are none.
        scene_count: scenes done and left out; None where the set does not say.
        groups: of patches.
        dates: of acquisition.
        splits: what the configuration would make of it.
        positive_pixels: foreground pixels of each patch, int64 [n].
        page: the page that was written, if any.
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
    classes: tuple[ClassCount, ...]
    ignored_share: float
    scene_count: SceneCount | None
    groups: Distinct
    dates: Distinct
    splits: SplitPreview
    positive_pixels: np.ndarray = field(repr=False)
    page: Path | None = None

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
            "classes": self.class_shares,
            "class_pixels": {each.name: each.pixels for each in self.classes},
            "class_patches": {each.name: each.patches for each in self.classes},
            "ignored_share": self.ignored_share,
            "scene_table": None if self.scene_count is None else _plain_scenes(self.scene_count),
            "groups": asdict(self.groups),
            "dates": asdict(self.dates),
            "splits": _plain_splits(self.splits),
            "page": None if self.page is None else str(self.page),
        }

    def summary(self) -> str:
        """Tables for the terminal, at most 80 columns wide."""
        from darts_train.dataset.describe_text import summary_lines

        return "\n".join(summary_lines(self))


def describe_set(data: TrainData, split: Split, strict: bool) -> Description:
    """Read a whole set once and say what is in it.

    Args:
        data: the opened set, all bands; it may be without patches (`open_or_empty`).
        split: the configuration whose splits are shown.
        strict: a configuration that cannot be made raises UserError; else the description says so.

    Raises:
        UserError: a patch is missing or damaged.
    """
    splits = preview_splits(data.metadata, data.config.patch_size, split, strict)  # first: it may refuse, at no cost
    bands, labels = BandCounts(data), _LabelCounts(data)
    for index in track(range(len(data)), "describe", len(data)):
        x, y = data.read(index)
        bands.add(x)
        labels.add(index, y)
    return Description(
        directory=data.root,
        data_hash=data.data_hash,
        patches=len(data),
        patch_size=data.config.patch_size,
        scenes=int(data.metadata["sample_id"].nunique()),
        positive=int((~data.metadata["empty"]).sum()),
        regions=count_regions(data.metadata, labels.positive, labels.labelled),
        bands=data.bands,
        profiles=bands.profiles(),
        classes=labels.classes(),
        ignored_share=labels.ignored_share,
        scene_count=count_scenes(data),
        groups=distinct(data.metadata, "group"),
        dates=distinct(data.metadata, "date"),
        splits=splits,
        positive_pixels=labels.positive,
    )


def open_or_empty(root: Path) -> TrainData:
    """Open a set, also one without patches: why its scenes gave none is worth a look. Raises as `TrainData.open`."""
    try:
        return TrainData.open(root)
    except UserError:
        require_directory(root, "--train-data-dir")
        if not all((root / name).exists() for name in (layout.CONFIG, layout.DATA, layout.METADATA)):
            raise
        metadata = read_metadata(root / layout.METADATA)
        if len(metadata):
            raise
        config, arrays = SetConfig.read(root / layout.CONFIG), open_arrays(root)
        check_arrays(root, config, *arrays)
        return TrainData(root, config, metadata, arrays, tuple(range(len(config.bands))))


class _LabelCounts:
    """What y says, gathered patch by patch."""

    def __init__(self, data: TrainData) -> None:
        self._names = data.config.classes
        self._ignore = data.config.ignore_index
        self._pixels = np.zeros(256, np.int64)
        self._patches = np.zeros(256, np.int64)
        self.positive = np.zeros(len(data), np.int64)
        self.labelled = np.zeros(len(data), np.int64)

    def add(self, index: int, y: np.ndarray) -> None:
        counts = np.bincount(y.ravel(), minlength=256)
        self._pixels += counts
        self._patches += counts > 0
        self.labelled[index] = counts[: len(self._names)].sum()
        self.positive[index] = counts[1 : len(self._names)].sum()

    def classes(self) -> tuple[ClassCount, ...]:
        labelled = max(int(self.labelled.sum()), 1)
        return tuple(
            ClassCount(name, int(self._pixels[k]), int(self._pixels[k]) / labelled, int(self._patches[k]))
            for k, name in enumerate(self._names)
        )

    @property
    def ignored_share(self) -> float:
        return int(self._pixels[self._ignore]) / max(int(self._pixels.sum()), 1)


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
