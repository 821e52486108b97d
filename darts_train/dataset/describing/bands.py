"""What the bands of a set hold, exactly, in one pass: every stored code is counted.

A band has 65 535 codes, so its counts are half a megabyte however large the set is, and quantiles, mean and spread
come out as if all pixels had been sorted. Sets of older make hold floats in [0, 1]: those are counted on a grid of
65 535 steps over that range (an error of at most 8e-6), while their least and greatest value, mean and spread are
taken from the numbers themselves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darts_train.dataset.reader import TrainData
from darts_train.dataset.statistics import BandStatistics, RunningMoments, add_patch, finish
from darts_train.raster.band import MAX_CODE, NODATA, Band

CODES = NODATA + 1
PERCENTS = (1, 50, 99)
BINS = 48
POOL = 1 << 18  # pixels


@dataclass(frozen=True)
class Histogram:
    """Counts of equally wide bins from `low` to `high`, in the unit of the band; no bin where no pixel is valid."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class BandProfile:
    """What one band holds.

    Attributes:
        statistics: count, range, mean and spread.
        quantiles: values at `PERCENTS`, interpolated as numpy.percentile does; NaN where no pixel is valid.
        histogram: between the first and the last of them, so that a few wild pixels do not flatten it.
    """

    statistics: BandStatistics
    quantiles: tuple[float, float, float]
    histogram: Histogram


class BandCounts:
    """Counts of the codes of every band: int64 [c, 65536].

    Small patches wait until there are POOL pixels: the counts of a band are long, and are added up once for all of
    them rather than once for each.
    """

    def __init__(self, data: TrainData, bands: Sequence[Band] | None = None) -> None:
        """`bands` are those of the patches to be added, where these are not the set's own."""
        self._data = data
        self._bands = tuple(data.bands if bands is None else bands)
        self._counts = np.zeros((len(self._bands), CODES), np.int64)
        self._moments = None if data.encoded else RunningMoments(len(data.bands))
        self._waiting: list[np.ndarray] = []
        self._pixels = 0

    def add(self, x: np.ndarray) -> None:
        """Add one patch [c, h, w] as `TrainData.read` gives it: uint16 codes, or float32 with NaN for no data.

        A patch of codes must not be changed afterwards.
        """
        if self._moments is not None:
            add_patch(self._moments, x)
            x = _grid_codes(x)
        self._waiting.append(x.reshape(len(x), -1))
        self._pixels += x[0].size
        if self._pixels >= POOL:
            self._count()

    def _count(self) -> None:
        for channel, counts in enumerate(self._counts if self._waiting else ()):
            seen = np.bincount(np.concatenate([patch[channel] for patch in self._waiting]))
            counts[: len(seen)] += seen
        self._waiting, self._pixels = [], 0

    def profiles(self) -> tuple[BandProfile, ...]:
        """One for each band of the set, in its order and in its units."""
        self._count()
        bands = self._bands if self._moments is None else tuple(_grid_band(band) for band in self._bands)
        exact = (
            tuple(_statistics(band, counts) for band, counts in zip(bands, self._counts, strict=True))
            if self._moments is None
            else finish(self._moments, self._data)
        )
        return tuple(
            BandProfile(statistics, _quantiles(band, counts), _histogram(band, counts))
            for band, counts, statistics in zip(bands, self._counts, exact, strict=True)
        )


def code_percentile(counts: np.ndarray, percent: int) -> float:
    """Percentile of the codes, of which code k occurs counts[k] times; equal to numpy.percentile of all of them.

    Args:
        counts: int64 [m].
        percent: 0 to 100, a whole number, so that the rank is exact.

    Returns:
        Interpolated between the two nearest codes; NaN where all counts are 0.
    """
    ends = np.cumsum(counts)
    total = int(ends[-1])
    if not total:
        return math.nan
    rank, rest = divmod((total - 1) * percent, 100)
    below, above = np.searchsorted(ends, [rank, min(rank + 1, total - 1)], side="right")
    return float(below + (above - below) * rest / 100)


def _grid_band(band: Band) -> Band:
    return Band(band.name, 1 / MAX_CODE, 0.0, 0.0, 1.0)


def _grid_codes(x: np.ndarray) -> np.ndarray:
    """Floats in [0, 1] as codes uint16; what lies outside goes to the ends, NaN and infinity are no data."""
    finite = np.isfinite(x)
    codes = np.rint(np.clip(np.where(finite, x, 0.0), 0.0, 1.0).astype(np.float64) * MAX_CODE)
    return np.where(finite, codes, NODATA).astype(np.uint16)


def _statistics(band: Band, counts: np.ndarray) -> BandStatistics:
    codes, known = np.arange(NODATA, dtype=np.int64), counts[:NODATA]
    valid, total = int(known.sum()), int(counts.sum())
    if not valid:
        return BandStatistics(band.name, 0, total, math.nan, math.nan, math.nan, math.nan)
    mean = int((codes * known).sum()) / valid
    variance = float((known * np.square(codes - mean)).sum()) / valid
    seen = np.flatnonzero(known)
    return BandStatistics(
        name=band.name,
        valid=valid,
        total=total,
        mean=band.offset + band.scale * mean,
        std=band.scale * math.sqrt(variance),
        minimum=band.offset + band.scale * int(seen[0]),
        maximum=band.offset + band.scale * int(seen[-1]),
    )


def _quantiles(band: Band, counts: np.ndarray) -> tuple[float, float, float]:
    first, middle, last = (band.offset + band.scale * code_percentile(counts[:NODATA], p) for p in PERCENTS)
    return first, middle, last


def _histogram(band: Band, counts: np.ndarray) -> Histogram:
    """Bins hold a whole number of codes each: others would beat against the steps of a coarse band."""
    ends = [code_percentile(counts[:NODATA], p) for p in (PERCENTS[0], PERCENTS[-1])]
    if math.isnan(ends[0]):
        return Histogram(math.nan, math.nan, ())
    first, last = math.floor(ends[0]), math.ceil(ends[1])
    width = math.ceil((last - first + 1) / BINS)
    number = math.ceil((last - first + 1) / width)
    inside = np.zeros(number * width, np.int64)
    taken = counts[first : min(first + number * width, NODATA)]
    inside[: len(taken)] = taken
    low, high = first - 0.5, first + number * width - 0.5  # a code stands in the middle of its step
    sums = inside.reshape(number, width).sum(axis=1)
    return Histogram(band.offset + band.scale * low, band.offset + band.scale * high, tuple(map(int, sums)))
