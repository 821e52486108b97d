"""From the values of a label raster to class indices."""

from collections.abc import Mapping

import numpy as np

from darts_train.base.errors import UserError
from darts_train.raster.band import IGNORE_INDEX

IGNORED = -100  # how users write "ignore" in a remap, as PyTorch does


def parse_remap(text: str | None, classes: int) -> dict[int, int]:
    """`0:0,4:1,9:-100` or `0,-100,1` (the position is the value) → {label value: class index or IGNORE_INDEX}.

    None: every value below the number of classes is itself. Raises UserError where the text is neither form, a value
    comes twice, or an index is that of no class.
    """
    if text is None:
        return {index: index for index in range(classes)}
    parts = [part.strip() for part in text.strip().strip("[]{}").split(",") if part.strip()]
    try:
        pairs = [_pair(part) for part in parts] if ":" in text else [(i, int(part)) for i, part in enumerate(parts)]
    except ValueError:
        raise UserError(f"--remap: {text!r} is neither pairs like 0:0,4:1,9:-100 nor a list like 0,-100,1.") from None
    if not pairs or len({value for value, _ in pairs}) < len(pairs):
        raise UserError(f"--remap: {text!r} names no value, or one value twice.")
    wrong = [index for _, index in pairs if index != IGNORED and not 0 <= index < classes]
    if wrong:
        raise UserError(
            f"--remap: {wrong[0]} is no class; the {classes} classes are 0 to {classes - 1}, {IGNORED} is ignore."
        )
    return {value: IGNORE_INDEX if index == IGNORED else index for value, index in pairs}


def _pair(text: str) -> tuple[int, int]:
    value, index = text.split(":")
    return int(value), int(index)


def classes_of(values: np.ndarray, valid: np.ndarray, mapping: Mapping[int, int]) -> np.ndarray:
    """Class indices uint8 of label values; IGNORE_INDEX where not valid, and at values that the mapping lacks."""
    classes = np.full(values.shape, IGNORE_INDEX, np.uint8)
    for value, index in mapping.items():
        classes[values == value] = index
    classes[~valid] = IGNORE_INDEX
    return classes


def uncovered(values: np.ndarray, valid: np.ndarray, mapping: Mapping[int, int]) -> dict[float, int]:
    """Pixels per value that is valid and that the mapping lacks."""
    left = values[valid]
    found, counts = np.unique(left, return_counts=True)
    return {float(value): int(n) for value, n in zip(found, counts, strict=True) if value not in mapping}
