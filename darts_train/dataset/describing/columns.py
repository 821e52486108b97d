"""What the columns of a set say of its patches: numbers, yes and no, texts, sizes of groups, what goes with what.

Every column of metadata.parquet is looked at but those that name a patch or its place. Beside them stand the shares of
the classes, counted from the labels, and flags that follow from numbers where the set has no column of that name.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from darts_train.dataset.describing.bands import Histogram

BINS = 50
TEXTS = 30  # values of a text column, groups, that are named
CORRELATED = 14  # columns of the matrix
# they name a patch, or the place of its pixels
NAMES = frozenset({"patch_id", "sample_id", "x", "y", "z_idx", "geometry", "source", "checksum", "class_fractions"})
_ELSEWHERE = frozenset({"group", "region", "empty", "date"})  # said in a section of their own
# flag, column it follows from, limit: yes where the column is above it
FLAGS = (
    ("dem_has_nans", "dem_nan_pixels_pct", 0.0),
    ("almost_all_water", "water_pixels_pct", 0.98),
    ("high_corrupted_pixels_pct", "qa_corrupted_pixels_pct", 0.4),
)


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers. All are NaN where no patch has a value.

    Attributes:
        name: the column.
        known: patches that have a value.
        missing: patches that have none.
        mean: mean.
        std: population standard deviation.
        quartiles: least value, three quartiles (interpolated as numpy.percentile does), greatest value.
        histogram: of all values; of the shares of a class, without the patches that have none of it.
    """

    name: str
    known: int
    missing: int
    mean: float
    std: float
    quartiles: tuple[float, float, float, float, float]
    histogram: Histogram

    @property
    def varies(self) -> bool:
        """Whether two patches differ."""
        return self.quartiles[0] < self.quartiles[-1]


@dataclass(frozen=True)
class FlagColumn:
    """A column of yes and no: patches of each, and those without a value."""

    name: str
    yes: int
    no: int
    missing: int


@dataclass(frozen=True)
class TextColumn:
    """A column of texts: the most frequent values with their patches, how many values there are, patches without."""

    name: str
    frequent: tuple[tuple[str, int], ...]
    values: int
    missing: int


@dataclass(frozen=True)
class GroupSizes:
    """Groups by their number of patches: size → groups of that size, and the largest groups by name."""

    sizes: Mapping[int, int]
    largest: tuple[tuple[str, int], ...]
    without: int

    @property
    def groups(self) -> int:
        """How many there are."""
        return sum(self.sizes.values())

    @property
    def single(self) -> int:
        """Groups of one patch."""
        return self.sizes.get(1, 0)


@dataclass(frozen=True)
class Correlations:
    """Pearson's r of each pair of columns, over patches that have both; NaN where one of them is constant there."""

    names: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class PatchTable:
    """All of it; `groups` is None where no patch has a group. `shares` are the names of the shares of classes."""

    numbers: tuple[NumberColumn, ...] = ()
    flags: tuple[FlagColumn, ...] = ()
    texts: tuple[TextColumn, ...] = ()
    groups: GroupSizes | None = None
    correlations: Correlations | None = None
    shares: tuple[str, ...] = ()


def describe_columns(metadata: pd.DataFrame, shares: Mapping[str, np.ndarray]) -> PatchTable:
    """Look at all columns.

    Args:
        metadata: rows of the set.
        shares: share of each foreground class in each patch, float64 [n]; by class.
    """
    numbers, flags, texts = _by_kind(metadata)
    if len(shares) == 1:
        numbers.pop("positive_fraction", None)  # the same
    named = {f"share of {name}": values for name, values in shares.items()}
    numbers = {**named, **numbers}
    flags = {"positive": 1.0 - metadata["empty"].to_numpy(float), **_derived(numbers, flags), **flags}
    return PatchTable(
        numbers=tuple(_number(name, values, name in named) for name, values in numbers.items()),
        flags=tuple(_flag(name, values) for name, values in flags.items()),
        texts=tuple(_text(name, metadata[name]) for name in texts),
        groups=_groups(metadata),
        correlations=correlate(numbers),
        shares=tuple(named),
    )


def correlate(numbers: Mapping[str, np.ndarray]) -> Correlations | None:
    """Correlations of the columns that vary, the first CORRELATED of them; None where there are fewer than two.

    Args:
        numbers: float64 [n] each, NaN where missing.
    """
    varying = {k: v for k, v in numbers.items() if np.isfinite(v).any() and np.nanmin(v) < np.nanmax(v)}
    if len(varying) < 2:
        return None
    frame = pd.DataFrame(dict(list(varying.items())[:CORRELATED]))
    matrix = frame.corr(min_periods=3).to_numpy(float)
    return Correlations(tuple(frame.columns), tuple(tuple(map(float, row)) for row in matrix))


def _by_kind(metadata: pd.DataFrame) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[str]]:
    """Columns of numbers and of flags as float64 [n], NaN where missing, and names of columns of texts."""
    numbers, flags, texts = {}, {}, []
    for name in map(str, metadata.columns):
        if name in NAMES or name in _ELSEWHERE:
            continue
        column = metadata[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.astype(object)
        kind = pd.api.types.infer_dtype(column, skipna=True)
        if kind == "boolean":
            flags[name] = column.astype("boolean").to_numpy(float, na_value=np.nan)
        elif kind in ("integer", "floating", "mixed-integer-float"):
            values = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
            numbers[name] = np.where(np.isfinite(values), values, np.nan)
        elif kind == "string":
            texts.append(name)
    return numbers, flags, texts


def _derived(numbers: Mapping[str, np.ndarray], flags: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: np.where(np.isnan(numbers[column]), np.nan, numbers[column] > limit)
        for name, column, limit in FLAGS
        if column in numbers and name not in flags
    }


def _number(name: str, values: np.ndarray, share: bool) -> NumberColumn:
    known = values[np.isfinite(values)]
    if not known.size:
        nothing = (math.nan,) * 5
        return NumberColumn(name, 0, len(values), math.nan, math.nan, nothing, Histogram(math.nan, math.nan, ()))
    least, low, middle, high, greatest = map(float, np.percentile(known, (0, 25, 50, 75, 100)))
    return NumberColumn(
        name=name,
        known=known.size,
        missing=len(values) - known.size,
        mean=float(known.mean()),
        std=float(known.std()),
        quartiles=(least, low, middle, high, greatest),
        histogram=histogram(known[known > 0], 0.0) if share else histogram(known),
    )


def histogram(values: np.ndarray, start: float | None = None) -> Histogram:
    """BINS bins over the range of finite numbers; of whole numbers, bins that hold equally many of them each.

    Less than 625 numbers have fewer bins, two times the root of their count and ten at least, so that bars have shape.
    `start` is where the first bin begins, at most the least number; None: there. Equal numbers have a single bin.
    """
    if not values.size or values.min() == values.max():
        at = float(values[0]) if values.size else math.nan
        return Histogram(at, at, (int(values.size),) if values.size else ())
    bins = min(BINS, max(10, math.ceil(2 * math.sqrt(values.size))))
    low, high = float(values.min()) if start is None else start, float(values.max())
    if start is None and (values == np.floor(values)).all() and high - low < 2**53:
        width = math.ceil((high - low + 1) / bins)
        bins = math.ceil((high - low + 1) / width)
        low, high = low - 0.5, low - 0.5 + bins * width
    counts, _ = np.histogram(values, bins, (low, high))
    return Histogram(low, high, tuple(map(int, counts)))


def _flag(name: str, values: np.ndarray) -> FlagColumn:
    yes, missing = int(np.nansum(values)), int(np.isnan(values).sum())
    return FlagColumn(name, yes, len(values) - yes - missing, missing)


def _text(name: str, column: "pd.Series[str]") -> TextColumn:
    counts = _counts(column)
    return TextColumn(name, _first(counts), len(counts), int(column.isna().sum()))


def _groups(metadata: pd.DataFrame) -> GroupSizes | None:
    counts = _counts(metadata["group"]) if "group" in metadata else []
    if not counts:
        return None
    sizes, number = np.unique([count for _, count in counts], return_counts=True)
    by_size = dict(zip(sizes.tolist(), number.tolist(), strict=True))
    return GroupSizes(by_size, _first(counts), int(metadata["group"].isna().sum()))


def _counts(column: "pd.Series[str]") -> list[tuple[str, int]]:
    """Values with their number, most frequent first, then in alphabetical order."""
    found = column.dropna().astype(str).value_counts()
    return sorted(((str(k), int(v)) for k, v in found.items()), key=lambda pair: (-pair[1], pair[0]))


def _first(counts: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    return tuple(counts[:TEXTS])
