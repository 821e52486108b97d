"""What a stored number means: a band is a name, a straight line from codes to values, and a range.

Every band is kept as uint16 codes, v = offset + scale · code (the sense of the CF conventions), with
one code set aside for "no data". A code is small, compresses well, and says exactly what an integer
source said; a float array would be twice as large and would not say which pixels were measured.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from darts_train.base.errors import UserError

NODATA = 65535  # the code of "no data" in x
MAX_CODE = 65534  # the greatest code that is a value
IGNORE_INDEX = 255  # the value of y that no loss and no metric looks at

OPTICAL_RANGES = {"v1": (0.0, 0.3), "v2": (-0.1, 0.5)}


@dataclass(frozen=True)
class Band:
    """One band: v = offset + scale · code.

    `low` and `high` are the values that become 0 and 1 for a network by default, in the unit of v.
    `optical`: a measurement of light, to which photometric augmentation and `--optical-range` apply.
    """

    name: str
    scale: float
    offset: float
    low: float
    high: float
    optical: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite([self.scale, self.offset, self.low, self.high]).all() and self.scale > 0):
            raise ValueError(f"band {self.name}: scale must be positive and all four numbers finite: {self}")
        if not self.low < self.high:
            raise ValueError(f"band {self.name}: low {self.low:g} is not below high {self.high:g}")

    @property
    def least(self) -> float:
        """The least value that a code can say."""
        return self.offset

    @property
    def greatest(self) -> float:
        """The greatest value that a code can say."""
        return self.offset + self.scale * MAX_CODE


def columns(bands: Sequence[Band]) -> tuple[np.ndarray, np.ndarray]:
    """Scales and offsets of the bands as float64 [c, 1, 1], ready to meet arrays [c, h, w]."""
    scale = np.array([band.scale for band in bands], np.float64).reshape(-1, 1, 1)
    offset = np.array([band.offset for band in bands], np.float64).reshape(-1, 1, 1)
    return scale, offset


def parse_optical_range(text: str) -> tuple[float, float]:
    """`v1`, `v2` or `LO,HI` → the reflectances that become 0 and 1. Raises UserError on anything else."""
    if text.strip().lower() in OPTICAL_RANGES:
        return OPTICAL_RANGES[text.strip().lower()]
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = float("nan")
    if not (np.isfinite([low, high]).all() and low < high):
        raise UserError(f"--optical-range: {text!r} is neither v1, v2 nor two numbers LO,HI with LO below HI.")
    return low, high


def with_optical_range(bands: Iterable[Band], low: float, high: float) -> tuple[Band, ...]:
    """The bands, with the range of those of light replaced."""
    return tuple(replace(band, low=low, high=high) if band.optical else band for band in bands)
