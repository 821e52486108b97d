"""Height above the mean of the surroundings (topographic position index).

The mean over a disc is a sum of runs of pixels, one per row of the disc, and each run is the difference of two
cumulative sums: the cost per pixel grows with the radius, not with its square. Heights are summed as whole numbers
of 1/1024 m, so a pixel's value does not depend, in any bit, on the window in which it was computed.
"""

import math

import numpy as np

from darts_train.base.errors import UserError
from darts_train.features.ground import Ground

_BLOCK_ROWS = 32
_STEPS = 1024  # per metre; finer than any elevation model, and exact in int64 for 10^12 pixels


def pixel_radii(metres: float, ground: Ground) -> tuple[int, int]:
    """Radius in pixels along columns and rows: the metres divided by the size of a pixel, rounded up."""
    width, height = ground.cell
    tolerance = 1e-6  # 102 m of 3 m pixels are 34, also where a size is 2.9999999 m
    return math.ceil(metres / width - tolerance), math.ceil(metres / height - tolerance)


def check_ring(outer: tuple[int, int], inner: tuple[int, int]) -> None:
    """Raise UserError where no pixel lies between the two radii, pixels."""
    if inner != (0, 0) and half_widths(outer) == half_widths(inner):
        both = f"both radii are {outer[0]} x {outer[1]} pixels"
        raise UserError(f"--tpi-inner-radius: {both}, so the ring is empty; take a smaller one.")


def half_widths(radii: tuple[int, int]) -> list[int]:
    """For each row of the disc (x/a)² + (y/b)² ≤ 1, from −b to b: how many pixels it reaches to each side."""
    a, b = radii
    return [math.isqrt(a * a * (b * b - y * y) // (b * b)) if b else a for y in range(-b, b + 1)]


def relative_elevation(dem: np.ndarray, outer: tuple[int, int], inner: tuple[int, int], halo: int) -> np.ndarray:
    """Elevation minus its mean over a disc, or over a ring.

    Args:
        dem: float [h + 2 halo, w + 2 halo], m.
        outer: radius of the disc along columns and rows, pixels, neither greater than `halo`.
        inner: radius of the disc that is left out; (0, 0): none is, so the centre counts. See `check_ring`.
        halo: pixels that `dem` has more on each side.

    Returns:
        float64 [h, w], m; NaN where any pixel of the disc, or of the ring, or the centre is NaN.
    """
    missing = ~np.isfinite(dem)
    steps = np.rint(np.where(missing, 0.0, dem.astype(np.float64)) * _STEPS).astype(np.int64)
    total, count = _disc_sum(steps, outer, halo)
    holes = _disc_sum(missing.astype(np.int64), outer, halo)[0] if missing.any() else np.zeros_like(total)
    if inner != (0, 0):
        inner_total, inner_count = _disc_sum(steps, inner, halo)
        total, count = total - inner_total, count - inner_count
        if missing.any():
            holes -= _disc_sum(missing.astype(np.int64), inner, halo)[0]
    centre = slice(halo, -halo or None)
    result = (steps[centre, centre] - total / count) / _STEPS
    return np.where((holes > 0) | missing[centre, centre], np.nan, result)


def _disc_sum(values: np.ndarray, radii: tuple[int, int], halo: int) -> tuple[np.ndarray, int]:
    """Sum over the disc around each pixel but the halo, int64 [h, w], and the number of pixels of the disc."""
    widths = half_widths(radii)
    height, width = values.shape[0] - 2 * halo, values.shape[1] - 2 * halo
    sums = np.zeros((values.shape[0], values.shape[1] + 1), np.int64)
    np.cumsum(values, axis=1, out=sums[:, 1:])
    total = np.zeros((height, width), np.int64)
    for top in range(0, height, _BLOCK_ROWS):  # a block of rows and its surroundings stay in the processor's cache
        block = total[top : top + _BLOCK_ROWS]
        for row, reach in enumerate(widths):
            part = sums[top + halo - radii[1] + row :][: len(block)]
            block += part[:, halo + reach + 1 :][:, :width]
            block -= part[:, halo - reach :][:, :width]
    return total, sum(2 * reach + 1 for reach in widths)
