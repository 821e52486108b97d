"""Mean and deviation of the pixels that are not black, as `channel_stats.npz` of hakai's tools has them.

There a pixel in which no channel is above 0 is the border of a mosaic, and is left out. Sums of codes and of their
squares are whole numbers of Python, which are exact however many there are, so nothing depends on the order of patches.
"""

import math
from dataclasses import dataclass

import numpy as np

from darts_train.dataset.reader import TrainData
from darts_train.dataset.statistics import RunningMoments
from darts_train.raster.band import NODATA, Band


@dataclass(frozen=True)
class LitNumbers:
    """Of one band, over the pixels in which any band is above 0; both NaN where there are too few.

    Attributes:
        pixels: number of these that hold data in the band.
        mean: in the unit of the band.
        std: sample standard deviation (n - 1), same unit.
    """

    pixels: int
    mean: float
    std: float


class LitSums:
    """Gathers the pixels of patches in which any band is above 0."""

    def __init__(self, data: TrainData) -> None:
        self._bands = data.bands
        # the greatest code whose value is not above 0; the sum keeps 1000.0000000000001 from being 1001
        last = [math.floor(-band.offset / band.scale + 1e-6) for band in data.bands]
        self._black = np.array(last, np.int64).reshape(-1, 1, 1)
        self._sums = [(0, 0, 0)] * len(data.bands)
        self._moments = None if data.encoded else RunningMoments(len(data.bands))

    def add(self, x: np.ndarray) -> None:
        """Add one patch [c, h, w]: uint16 codes, or float32 with NaN for no data. No data is not above 0."""
        if self._moments is not None:
            self._add_floats(x, np.asarray((x > 0).any(axis=0)))
            return
        lit = ((x > self._black) & (x != NODATA)).any(axis=0)
        for channel, pixels in enumerate(x):
            codes = pixels[lit & (pixels != NODATA)].astype(np.int64)
            count, total, squares = self._sums[channel]
            self._sums[channel] = (count + codes.size, total + int(codes.sum()), squares + int((codes * codes).sum()))

    def _add_floats(self, x: np.ndarray, lit: np.ndarray) -> None:
        for channel, pixels in enumerate(x):
            assert self._moments is not None
            self._moments.update(channel, pixels[lit & np.isfinite(pixels)], pixels.size)

    def numbers(self) -> tuple[LitNumbers, ...]:
        """One for each band of the set, in its order and in its units."""
        if self._moments is not None:
            found = zip(self._moments.count, self._moments.mean, self._moments.deviation, strict=True)
            return tuple(_of_moments(int(count), float(mean), float(rest)) for count, mean, rest in found)
        return tuple(_of_sums(band, *sums) for band, sums in zip(self._bands, self._sums, strict=True))


def _of_moments(count: int, mean: float, deviation: float) -> LitNumbers:
    if not count:
        return LitNumbers(0, math.nan, math.nan)
    return LitNumbers(count, mean, math.sqrt(deviation / (count - 1)) if count > 1 else math.nan)


def _of_sums(band: Band, count: int, total: int, squares: int) -> LitNumbers:
    if not count:
        return LitNumbers(0, math.nan, math.nan)
    variance = (count * squares - total * total) / (count * (count - 1)) if count > 1 else math.nan
    return LitNumbers(count, band.offset + band.scale * (total / count), band.scale * math.sqrt(variance))
