"""One look at all chips before anything is written: their sizes, the values of their labels, what is wrong."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from darts_train.base.errors import UserError, listing
from darts_train.raster.band import IGNORE_INDEX
from darts_train.scenes.chips.chips import BadChip, Chip, ChipColumns, ChipRef
from darts_train.scenes.chips.reading import read_chips
from darts_train.scenes.class_values import IGNORED, uncovered

_PIXELS = 64  # of each band of a chip, to measure its range by
_MOST = 2**17  # pixels that are kept of each band of all
Kind = tuple[int, int, int, str]  # bands, height, width, type of an image


@dataclass(eq=False)
class Census:
    """What some chips are.

    Attributes:
        kinds: chips of each kind of image, and the name of one of them.
        values: label values that stand for no class: pixels, and the name of a chip.
        unlabelled: names of chips without labels.
        wrong: (name, reason) of chips that cannot be used.
        counts: of each band some counts, the least and the greatest among them; float64.
        black: pixels that are 0 in all bands and taken for no data.
    """

    kinds: dict[Kind, tuple[int, str]] = field(default_factory=dict)
    values: dict[float, tuple[int, str]] = field(default_factory=dict)
    unlabelled: list[str] = field(default_factory=list)
    wrong: list[tuple[str, str]] = field(default_factory=list)
    counts: list[np.ndarray] = field(default_factory=list)
    black: int = 0

    def add(self, other: "Census") -> None:
        """Add what other chips are."""
        for kind, (count, name) in other.kinds.items():
            self.kinds[kind] = (self.kinds.get(kind, (0, name))[0] + count, self.kinds.get(kind, (0, name))[1])
        for value, (count, name) in other.values.items():
            self.values[value] = (self.values.get(value, (0, name))[0] + count, self.values.get(value, (0, name))[1])
        self.unlabelled += other.unlabelled
        self.wrong += other.wrong
        self.black += other.black
        if other.counts and self.counts and len(self.counts) == len(other.counts):
            self.counts = [_thinned(np.concatenate(pair)) for pair in zip(self.counts, other.counts, strict=True)]
        elif not self.counts:
            self.counts = other.counts


@dataclass(frozen=True)
class Reading:
    """How counts and label values are understood.

    Attributes:
        mapping: label value → class index or IGNORE_INDEX.
        nodata: count that means no data; None: as files say.
        black: `auto`, `nodata` or `data`, as the option `--black`.
    """

    mapping: Mapping[int, int]
    nodata: float | None = None
    black: str = "auto"

    def mapping_of(self, chip: Chip) -> dict[int, int]:
        """The mapping with -100, and with what the file says is no label, unless they are named."""
        ignored = [IGNORED] if chip.label_nodata is None else [IGNORED, chip.label_nodata]
        return dict.fromkeys(ignored, IGNORE_INDEX) | dict(self.mapping)

    def valid(self, ref: ChipRef, chip: Chip) -> tuple[np.ndarray, np.ndarray]:
        """Which pixels have data, bool [c, h, w], and which are taken for no data as they are black, bool [h, w]."""
        valid = chip.valid if self.nodata is None else chip.valid & (chip.image != self.nodata)
        npz = ref.path.suffix.lower() == ".npz"
        if self.black == "nodata" or (self.black == "auto" and npz and not chip.stated):
            black = (chip.image == 0).all(axis=0)
            return valid & ~black, black
        return valid, np.zeros(chip.image.shape[1:], bool)


@dataclass(frozen=True)
class CensusTask:
    """Chips that are looked at together, and how they are read."""

    refs: Sequence[ChipRef]
    columns: ChipColumns
    reading: Reading


def take_census(task: CensusTask) -> Census:
    """Look at some chips, one at a time."""
    found = Census()
    for ref, chip in read_chips(task.refs, task.columns):
        if isinstance(chip, BadChip):
            found.wrong.append((ref.name, str(chip)))
        elif chip.label is None:
            found.unlabelled.append(ref.name)
        else:
            found.add(_of_chip(ref, chip, task.reading))
    return found


def _of_chip(ref: ChipRef, chip: Chip, reading: Reading) -> Census:
    assert chip.label is not None
    valid, black = reading.valid(ref, chip)
    left = uncovered(chip.label, np.ones(chip.label.shape, bool), reading.mapping_of(chip))
    return Census(
        kinds={(*chip.image.shape, str(chip.image.dtype)): (1, ref.name)},
        values={value: (pixels, ref.name) for value, pixels in left.items()},
        counts=[_some(band[mask]) for band, mask in zip(chip.image, valid, strict=True)],
        black=int(black.sum()),
    )


def _some(values: np.ndarray) -> np.ndarray:
    """Some values, the least and the greatest among them, float64."""
    if not len(values):
        return np.empty(0)
    step = max(1, len(values) // _PIXELS)
    return np.concatenate([values[::step], [values.min(), values.max()]]).astype(np.float64)


def _thinned(values: np.ndarray) -> np.ndarray:
    """Every second value where they are too many; the least and the greatest stay."""
    if len(values) <= _MOST:
        return values
    return np.concatenate([values[::2], [values.min(), values.max()]])


def check_census(census: Census, classes: int, total: int) -> Kind:
    """The kind of all images. Raises UserError where chips cannot be used, differ, or have values of no class."""
    if census.wrong:
        (name, reason), *others = census.wrong
        more = f" ({len(others)} more: {_reasons(others)})" if others else ""
        raise UserError(f"--chips-dir: chip {name}: {reason}{more}. Mend or remove, and call again.")
    if not census.kinds:
        raise UserError(f"--chips-dir: none of {total} chips has labels.")
    if len(census.kinds) > 1:
        ordered = sorted(census.kinds.items(), key=lambda item: -item[1][0])
        shown = [f"{_size(kind)}: {count} (such as {name})" for kind, (count, name) in ordered]
        raise UserError(f"--chips-dir: chips of one set have one size and type. There are {listing(shown, 4)}.")
    (kind,) = census.kinds
    if kind[1] != kind[2]:
        raise UserError(f"--chips-dir: chips are {_size(kind)}; a patch is as wide as high. Cut or pad them first.")
    if census.values:
        values = [f"{v:g} ({census.values[v][0]} pixels, {census.values[v][1]})" for v in sorted(census.values)]
        raise UserError(
            f"Label values that stand for no class: {listing(values, 4)}. Classes are 0 to {classes - 1}; "
            "say with --remap what these values are (-100: ignore)."
        )
    return kind


def _reasons(others: Iterable[tuple[str, str]]) -> str:
    counts = Counter(reason.split(";")[0] for _, reason in others)
    return listing([f"{count} {reason}" for reason, count in counts.most_common()], 2)


def _size(kind: Kind) -> str:
    bands, height, width, dtype = kind
    return f"{height} x {width} of {bands} {'band' if bands == 1 else 'bands'} {dtype}"
