"""From the values of a label raster to class indices."""

import itertools
import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from darts_train.base.errors import UserError
from darts_train.raster.band import IGNORE_INDEX

IGNORED = -100  # how users write "ignore" in a remap, as PyTorch does
RemapForm = Literal["auto", "list", "pairs"]
_FORMS: Mapping[RemapForm, str] = {
    "auto": "pairs like 0:0,4:1,9:-100 or a list like 0,-100,1",
    "list": "a list like 0,-100,1 (--remap-format list)",
    "pairs": "pairs like 0 0 4 1 9 -100 (--remap-format pairs)",
}


def parse_remap(text: str | None, classes: int, form: RemapForm = "auto") -> dict[int, int]:
    """What users write about label values → {label value: class index or IGNORE_INDEX}.

    Args:
        text: `0:0,4:1,9:-100`; a list such as `0,-100,1`, in which the position is the value; or, where `form` says
            so, bare pairs such as `0 0 4 1 9 -100`. Items are set apart by commas, blanks, or both. None: every value
            below the number of classes is itself.
        classes: number of classes.
        form: how numbers without a colon are read; auto: as a list.

    Raises UserError where the text is not of the form, a value comes twice, or an index is that of no class.
    """
    if text is None:
        return {index: index for index in range(classes)}
    pairs = _pairs_of(text, form)
    if not pairs or len({value for value, _ in pairs}) < len(pairs):
        raise UserError(f"--remap: {text!r} names no value, or one value twice.")
    wrong = [index for _, index in pairs if index != IGNORED and not 0 <= index < classes]
    if wrong:
        hint = "; bare pairs want --remap-format pairs" if could_be_pairs(text, classes) else ""
        raise UserError(
            f"--remap: {wrong[0]} is no class; the {classes} classes are 0 to {classes - 1}, {IGNORED} is ignore{hint}."
        )
    return {value: IGNORE_INDEX if index == IGNORED else index for value, index in pairs}


def _pairs_of(text: str, form: RemapForm) -> list[tuple[int, int]]:
    """Label value and index as written. Raises UserError where the text is not of the form."""
    try:
        if ":" in text:
            if form == "list":
                raise ValueError
            return [_pair(item) for item in _items(text)]
        numbers = [int(item) for item in _items(text)]
        if form != "pairs":
            return list(enumerate(numbers))
        return list(zip(numbers[::2], numbers[1::2], strict=True))
    except ValueError:
        raise UserError(f"--remap: {text!r} is not {_FORMS[form]}.") from None


def _items(text: str) -> list[str]:
    """The items of a text, set apart by commas or blanks; a colon keeps what is around it together."""
    bare = re.sub(r"\s*:\s*", ":", text.strip().strip("[]{}"))
    return [item for item in re.split(r"[\s,]+", bare) if item]


def _pair(text: str) -> tuple[int, int]:
    value, index = text.split(":")
    return int(value), int(index)


def could_be_pairs(text: str | None, classes: int) -> bool:
    """Whether a list of numbers could be meant as bare pairs: an even number, rising values, and each index a class."""
    if text is None or ":" in text:
        return False
    numbers = [int(item) for item in _items(text)]
    values, indices = numbers[::2], numbers[1::2]
    rising = all(first < second for first, second in itertools.pairwise(values))
    known = all(index == IGNORED or 0 <= index < classes for index in indices)
    return len(numbers) >= 4 and len(values) == len(indices) and rising and values[0] >= 0 and known


def mapping_text(mapping: Mapping[int, int]) -> str:
    """A mapping as it may be given again: `0:0,4:1,9:-100`."""
    return ",".join(f"{value}:{IGNORED if index == IGNORE_INDEX else index}" for value, index in mapping.items())


def classes_of(values: np.ndarray, valid: np.ndarray, mapping: Mapping[int, int]) -> np.ndarray:
    """Class indices uint8 of label values; IGNORE_INDEX where not valid, and at values that the mapping lacks."""
    if _is_short(values):
        table = np.full(_numbers_of(values.dtype), IGNORE_INDEX, np.uint8)
        limits = np.iinfo(values.dtype)
        for value, index in mapping.items():
            if limits.min <= value <= limits.max:
                table[value] = index  # a negative one from the end, as its unsigned twin
        classes = np.take(table, _unsigned(values))
    else:
        classes = np.full(values.shape, IGNORE_INDEX, np.uint8)
        for value, index in mapping.items():
            classes[values == value] = index
    classes[~valid] = IGNORE_INDEX
    return classes


def uncovered(values: np.ndarray, valid: np.ndarray, mapping: Mapping[int, int]) -> dict[float, int]:
    """Pixels per value that is valid and that the mapping lacks."""
    left = values[valid]
    if _is_short(left):  # counted without being sorted
        everything = np.bincount(_unsigned(left), minlength=_numbers_of(left.dtype))
        seen = np.flatnonzero(everything)
        found, counts = seen.astype(_unsigned(left).dtype).view(left.dtype), everything[seen]
    else:
        found, counts = np.unique(left, return_counts=True)
    return {float(value): int(n) for value, n in zip(found, counts, strict=True) if value not in mapping}


def _is_short(values: np.ndarray) -> bool:
    """Whether a table of all numbers that the type can say is small."""
    return values.dtype.kind in "ui" and values.dtype.itemsize <= 2


def _numbers_of(dtype: np.dtype[Any]) -> int:
    return int(2 ** (8 * dtype.itemsize))


def _unsigned(values: np.ndarray) -> np.ndarray:
    return values.view(f"u{values.dtype.itemsize}")
