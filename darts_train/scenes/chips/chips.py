"""Chips: small images with labels that another program cut, and what each of them says about itself."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

IMAGE_DTYPES = "iufb"  # kinds of numbers that pixels can be
SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_NUMBERED = re.compile(r"(.+)_(\d{1,9})")


class BadChip(Exception):
    """What is wrong with one chip, in a few words without its name."""


@dataclass(frozen=True)
class ChipRef:
    """Where a chip lies, before it is read.

    Attributes:
        name: unique over all chips.
        path: the file: an NPZ, a picture, or a parquet shard.
        label: file of the labels of a picture; None where there is none, and for other kinds.
        row: row group and row within it, of a chip in a shard.
        split: train, val or test; None where nothing says.
        source: the file as the set's rows name it.
    """

    name: str
    path: Path
    label: Path | None = None
    row: tuple[int, int] | None = None
    split: str | None = None
    source: str = ""


@dataclass(frozen=True, eq=False)
class Chip:
    """A chip that was read.

    Attributes:
        image: counts [c, h, w], a type of real numbers.
        valid: bool [c, h, w], False where there is no data.
        label: whole numbers [h, w]; None: it has no labels.
        stated: the file itself says which pixels are valid.
        label_nodata: value of the labels that its file declares to be none.
    """

    image: np.ndarray
    valid: np.ndarray
    label: np.ndarray | None
    stated: bool = False
    label_nodata: int | None = None


@dataclass(frozen=True)
class ChipColumns:
    """Which columns of a parquet shard hold images and labels; None: those with a usual name."""

    image: str | None = None
    label: str | None = None


def split_name(name: str, alone: bool = False) -> tuple[str, int]:
    """Scene and number of a chip: `mosaic_12` is chip 12 of `mosaic`; 0 of itself without a number, and if `alone`."""
    match = None if alone else _NUMBERED.fullmatch(name)
    return (match.group(1), int(match.group(2))) if match else (name, 0)


def check_chip(chip: Chip) -> None:
    """Raise BadChip where a chip is not an image with labels on its pixels."""
    image, label = chip.image, chip.label
    if image.dtype.kind not in IMAGE_DTYPES:
        raise BadChip(f"image is {image.dtype}, not numbers")
    if image.ndim != 3 or not image.size:
        raise BadChip(f"image has the shape {image.shape}")
    if label is None:
        return
    if label.dtype.kind == "f":
        raise BadChip(f"label is {label.dtype}; classes are whole numbers")
    if label.dtype.kind not in "iub":
        raise BadChip(f"label is {label.dtype}, not whole numbers")
    if label.shape != image.shape[1:]:
        size = " x ".join(map(str, label.shape))
        raise BadChip(f"label of {size} pixels on an image of {image.shape[1]} x {image.shape[2]}")
