"""Mean, spread and range of streams of numbers, in one pass and little memory.

Parts are merged with the pairwise update of Chan, Golub and LeVeque (1983, "Algorithms for computing the sample
variance"), in float64 and on the codes: a straight line takes them to values at the end, so that nothing is lost to
an offset that is large beside the spread.
"""

from dataclasses import dataclass

import numpy as np

from darts_train.dataset.reader import TrainData
from darts_train.raster.band import NODATA


@dataclass(frozen=True)
class BandStatistics:
    """What one band looks like. All four numbers are NaN where no pixel is valid.

    Attributes:
        name: the band.
        valid: number of pixels that are not no data.
        total: number of pixels.
        mean: in the unit of the band.
        std: population standard deviation, same unit.
        minimum: least value.
        maximum: greatest value.
    """

    name: str
    valid: int
    total: int
    mean: float
    std: float
    minimum: float
    maximum: float

    @property
    def nodata_share(self) -> float:
        """Share of pixels without data; 0 where there are no pixels at all."""
        return 1 - self.valid / self.total if self.total else 0.0


class RunningMoments:
    """Count, mean, sum of squared deviations, least and greatest value of `channels` streams of numbers."""

    def __init__(self, channels: int) -> None:
        self.count = np.zeros(channels, np.int64)
        self.total = np.zeros(channels, np.int64)
        self.mean = np.zeros(channels, np.float64)
        self.deviation = np.zeros(channels, np.float64)
        self.minimum = np.full(channels, np.inf)
        self.maximum = np.full(channels, -np.inf)

    def update(self, channel: int, values: np.ndarray, total: int) -> None:
        """Add the valid numbers of one channel, of `total` that there were. An empty array only raises the total."""
        self.total[channel] += total
        if not values.size:
            return
        numbers = values.astype(np.float64)
        count, mean = numbers.size, float(numbers.mean())
        deviation = float(np.square(numbers - mean).sum())
        before, after = int(self.count[channel]), int(self.count[channel]) + count
        shift = mean - self.mean[channel]
        self.mean[channel] += shift * count / after
        self.deviation[channel] += deviation + shift * shift * before * count / after
        self.count[channel] = after
        self.minimum[channel] = min(self.minimum[channel], float(numbers.min()))
        self.maximum[channel] = max(self.maximum[channel], float(numbers.max()))


def add_patch(moments: RunningMoments, x: np.ndarray) -> None:
    """Add one patch [c, h, w]: uint16 codes (NODATA is left out) or float (NaN and infinity are left out)."""
    for channel, pixels in enumerate(x):
        valid = pixels[pixels != NODATA] if x.dtype == np.uint16 else pixels[np.isfinite(pixels)]
        moments.update(channel, valid, pixels.size)


def finish(moments: RunningMoments, data: TrainData) -> tuple[BandStatistics, ...]:
    """Statistics in the units of the bands, from moments of their stored numbers."""
    return tuple(_finish_band(moments, i, data) for i in range(len(data.bands)))


def _finish_band(moments: RunningMoments, channel: int, data: TrainData) -> BandStatistics:
    band, count = data.bands[channel], int(moments.count[channel])
    nothing = float("nan")
    return BandStatistics(
        name=band.name,
        valid=count,
        total=int(moments.total[channel]),
        mean=float(band.offset + band.scale * moments.mean[channel]) if count else nothing,
        std=float(band.scale * np.sqrt(moments.deviation[channel] / count)) if count else nothing,
        minimum=float(band.offset + band.scale * moments.minimum[channel]) if count else nothing,
        maximum=float(band.offset + band.scale * moments.maximum[channel]) if count else nothing,
    )
