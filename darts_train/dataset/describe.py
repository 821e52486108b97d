"""What is in a train data directory: counts, regions, bands and classes, as a table and as JSON."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darts_train.base.progress import track
from darts_train.dataset.reader import TrainData
from darts_train.dataset.statistics import BandStatistics, RunningMoments, add_patch, finish
from darts_train.options.preprocessing import Inspect
from darts_train.raster.band import Band

_WIDTH = 80


@dataclass(frozen=True)
class RegionCount:
    """Patches of one region: with a foreground pixel, and without."""

    region: str
    positive: int
    empty: int


@dataclass(frozen=True)
class Description:
    """What a set holds.

    Attributes:
        directory: the set.
        data_hash: its identity.
        patches: number of patches.
        patch_size: side of a patch, pixels.
        scenes: number of scenes that gave patches.
        regions: patches per region, alphabetical.
        bands: encodings.
        statistics: of each band, over all patches.
        class_shares: share of the labelled pixels per class, by name; all 0 where none is labelled.
        ignored_share: share of all pixels that count nowhere.
    """

    directory: Path
    data_hash: str
    patches: int
    patch_size: int
    scenes: int
    regions: tuple[RegionCount, ...]
    bands: tuple[Band, ...]
    statistics: tuple[BandStatistics, ...]
    class_shares: dict[str, float]
    ignored_share: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; NaN becomes None."""
        bands = [
            asdict(band) | asdict(stats) | {"nodata_share": stats.nodata_share}
            for band, stats in zip(self.bands, self.statistics, strict=True)
        ]
        return {
            "directory": str(self.directory),
            "data_hash": self.data_hash,
            "patches": self.patches,
            "patch_size": self.patch_size,
            "scenes": self.scenes,
            "regions": [asdict(region) for region in self.regions],
            "bands": [{key: _none_for_nan(value) for key, value in band.items()} for band in bands],
            "classes": self.class_shares,
            "ignored_share": self.ignored_share,
        }

    def summary(self) -> str:
        """Tables for the terminal, at most 80 columns wide."""
        size = f"{self.patch_size} x {self.patch_size}"
        lines = [
            str(self.directory),
            f"{self.patches} patches of {size} pixels from {self.scenes} scenes, data hash {self.data_hash[:16]}",
            "",
            *_table(("region", "positive", "empty"), [(r.region, r.positive, r.empty) for r in self.regions]),
            "",
            *_table(
                ("band", "scale", "offset", "least", "mean", "std", "greatest", "no data"),
                [_band_line(band, stats) for band, stats in zip(self.bands, self.statistics, strict=True)],
            ),
            "",
            *_table(("class", "pixels"), [(name, f"{share:.2%}") for name, share in self.class_shares.items()]),
            f"{self.ignored_share:.2%} of all pixels are ignored",
        ]
        return "\n".join(lines)


def describe_train_data(inspect: Inspect) -> Description:
    """Read a whole set once and say what is in it. Raises UserError where it is no set, or damaged."""
    data = TrainData.open(inspect.train_data_dir)
    moments, values = RunningMoments(len(data.bands)), np.zeros(256, np.int64)
    for index in track(range(len(data)), "describe", len(data)):
        x, y = data.read(index)
        add_patch(moments, x)
        values += np.bincount(y.ravel(), minlength=256)
    counts = values[: len(data.config.classes)]
    labelled = max(int(counts.sum()), 1)
    return Description(
        directory=data.root,
        data_hash=data.data_hash,
        patches=len(data),
        patch_size=data.config.patch_size,
        scenes=int(data.metadata["sample_id"].nunique()),
        regions=_regions(data),
        bands=data.bands,
        statistics=finish(moments, data),
        class_shares={name: int(n) / labelled for name, n in zip(data.config.classes, counts, strict=True)},
        ignored_share=int(values[data.config.ignore_index]) / int(values.sum()),
    )


def _regions(data: TrainData) -> tuple[RegionCount, ...]:
    grouped = data.metadata.groupby("region", sort=True)["empty"].agg(["sum", "count"])
    return tuple(
        RegionCount(str(name), positive=int(count - empty), empty=int(empty))
        for name, empty, count in grouped.itertuples()
    )


def _band_line(band: Band, stats: BandStatistics) -> tuple[str, ...]:
    numbers = (band.scale, band.offset, stats.minimum, stats.mean, stats.std, stats.maximum)
    return (band.name, *("-" if math.isnan(v) else f"{v:.4g}" for v in numbers), f"{stats.nodata_share:.2%}")


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Columns as wide as their longest item, the first one cut where a line would pass 80; numbers to the right."""
    cells = [[str(item) for item in row] for row in [heads, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    widths[0] = min(widths[0], _WIDTH - sum(widths[1:]) - 2 * (len(heads) - 1))
    return [
        "  ".join(
            [_cut(row[0], widths[0]).ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in cells
    ]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _none_for_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
