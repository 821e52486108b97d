"""What the tables of a set say: regions, scenes, groups and dates. No pixel is read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from darts_train.dataset import layout
from darts_train.dataset.reader import TrainData
from darts_train.dataset.schema import DONE, LEFT_OUT

UNTOLD = "no reason given"


@dataclass(frozen=True)
class RegionCount:
    """Patches of one region.

    Attributes:
        region: its name.
        positive: patches with a foreground pixel.
        empty: patches without.
        positive_pixels: foreground pixels.
        labelled_pixels: labelled pixels.
    """

    region: str
    positive: int
    empty: int
    positive_pixels: int
    labelled_pixels: int

    @property
    def patches(self) -> int:
        """All its patches."""
        return self.positive + self.empty

    @property
    def positive_share(self) -> float:
        """Foreground pixels of the labelled ones, 0 to 1; 0 where none is labelled."""
        return self.positive_pixels / max(self.labelled_pixels, 1)


@dataclass(frozen=True)
class SceneCount:
    """What became of the scenes: number done, how many of these gave no patch, and (scene, reason) of the others."""

    done: int
    without_patches: int
    left_out: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Distinct:
    """Values of a column that may be missing: how many there are, and how many patches have none.

    `first` and `last` in alphabetical order, which is that of time for ISO dates; None where there is none.
    `largest` is the number of patches of the most frequent value.
    """

    values: int = 0
    without: int = 0
    largest: int = 0
    first: str | None = None
    last: str | None = None


def count_regions(metadata: pd.DataFrame, positive: np.ndarray, labelled: np.ndarray) -> tuple[RegionCount, ...]:
    """Counts of every region, in alphabetical order.

    Args:
        metadata: n rows with `region` and `empty`.
        positive: foreground pixels of each patch, int64 [n].
        labelled: labelled pixels of each patch, int64 [n].
    """
    rows = metadata[["region", "empty"]].assign(count=1, pixels=positive, labelled=labelled)
    sums = rows.groupby("region", sort=True).sum()
    return tuple(
        RegionCount(str(name), int(count - empty), int(empty), int(pixels), int(known))
        for name, empty, count, pixels, known in sums.itertuples()
    )


def count_scenes(data: TrainData) -> SceneCount | None:
    """Scenes by what became of them; None where the set has no readable scenes.parquet (older sets have none)."""
    try:
        rows = pq.read_table(data.root / layout.SCENES, columns=["scene_id", "status", "patches", "reason"]).to_pylist()
    except (OSError, pa.ArrowException, KeyError):
        return None
    done = [row for row in rows if row["status"] == DONE]
    return SceneCount(
        done=len(done),
        without_patches=sum(not row["patches"] for row in done),
        left_out=tuple(
            (str(row["scene_id"]), str(row["reason"] or UNTOLD)) for row in rows if row["status"] == LEFT_OUT
        ),
    )


def distinct(metadata: pd.DataFrame, column: str) -> Distinct:
    """Values of a column, as text; all patches are without where the set has no such column."""
    if column not in metadata:
        return Distinct(without=len(metadata))
    known = metadata[column].dropna().astype(str)
    names: Sequence[str] = sorted(known.unique())
    largest = int(known.value_counts().max()) if len(known) else 0
    ends = (names[0], names[-1]) if names else (None, None)
    return Distinct(len(names), len(metadata) - len(known), largest, *ends)
