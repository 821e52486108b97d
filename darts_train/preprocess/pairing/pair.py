"""An image and its labels, and what is known about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from darts_train.dataset.columns import Cell, Column
from darts_train.scenes.scene import NO_REGION

SPLIT = "split"  # the column that keeps train, val and test of a directory


@dataclass(frozen=True)
class Pair:
    """An image and its labels (None: there are none), and what is known about them.

    `source` is the image as named; `columns` are cells of further columns of its patches.
    """

    image: Path
    label: Path | None
    sample_id: str
    source: str
    region: str = NO_REGION
    group: str | None = None
    date: str | None = None
    columns: Mapping[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class Pairs:
    """Pairs in their order, and the further columns that all of them have."""

    pairs: tuple[Pair, ...]
    columns: tuple[Column, ...] = ()
