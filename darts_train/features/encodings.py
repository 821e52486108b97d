"""How a computed band is stored where only its formula is known: by what it gives over usual values of its bands."""

import math

import numpy as np

from darts_train.raster.band import Band

_STEPS = tuple(digit * 10.0**power for power in range(-6, 7) for digit in (1, 2, 5))
_LIMIT = 32767  # steps to each side of 0
_USUAL = (1, 99)  # percentiles
_ROOM = 2.0


def spread_band(name: str, values: np.ndarray, room: float = _ROOM) -> Band:
    """An encoding for values, float64 with NaN, around 0.

    The range for the network is their first to last percentile, to two digits; steps are the finest of 1, 2 and
    5 · 10ⁿ of which 32767, to both sides of 0, hold `room` times that.
    """
    low, high = (_rounded(float(value)) for value in np.nanpercentile(values, _USUAL))
    high = high if low < high else low + 1.0
    step = next((step for step in _STEPS if step * _LIMIT >= room * max(-low, high)), _STEPS[-1])
    return Band(name, step, -step * _LIMIT, low, high)


def _rounded(value: float) -> float:
    return value if value == 0 else round(value, 1 - math.floor(math.log10(abs(value))))
