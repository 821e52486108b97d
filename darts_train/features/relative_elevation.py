"""Height above the mean of the surroundings (topographic position index).

Heights are summed as whole numbers of 1/256 m, so a pixel's value does not depend, in any bit, on the window in which
it was computed. What is summed is the difference to the centre, and it is divided once.
"""

import math
from collections.abc import Iterator

import numpy as np

from darts_train.base.errors import UserError
from darts_train.features.disc_sums import Scratch, disc_sum, half_widths, pixels_of
from darts_train.features.ground import Ground

_TILE = (256, 1024)  # rows and columns that are worked on at once
_STEPS = 256  # per metre: 4 mm, finer than any elevation model and than the step of 10 mm in which this band is kept
_GREATEST = 2.0**31  # steps; 8000 km
_EXACT = 2.0**24  # steps that float32 tells apart; 65 km


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
    a, b = outer
    near = dem[halo - b : dem.shape[0] - halo + b, halo - a : dem.shape[1] - halo + a]
    result = np.empty((near.shape[0] - 2 * b, near.shape[1] - 2 * a))
    scratch = Scratch()
    for rows, columns in _tiles(*result.shape):
        piece = near[rows.start : rows.stop + 2 * b, columns.start : columns.stop + 2 * a]
        _relative(piece, outer, inner, scratch, result[rows, columns])
    return result


def _tiles(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, height, _TILE[0]):
        for left in range(0, width, _TILE[1]):
            yield slice(top, min(top + _TILE[0], height)), slice(left, min(left + _TILE[1], width))


def _relative(
    dem: np.ndarray, outer: tuple[int, int], inner: tuple[int, int], scratch: Scratch, result: np.ndarray
) -> None:
    """Fill the result for a tile whose halo is the outer radii."""
    count = pixels_of(outer) - (pixels_of(inner) if inner != (0, 0) else 0)
    missing = ~np.isfinite(dem)
    holes = bool(missing.any())
    steps = _steps(dem, missing if holes else None, pixels_of(outer), scratch)
    np.multiply(_centre(steps, outer), float(count), out=result)  # whole numbers below 2^53: exact
    result -= _ring_sum(steps, outer, inner, scratch)
    result /= float(count) * _STEPS
    if holes:
        around = _ring_sum(missing.astype(np.uint16 if count < 2**16 else np.int64), outer, inner, scratch)
        result[(around > 0) | _centre(missing, outer)] = np.nan


def _steps(dem: np.ndarray, missing: np.ndarray | None, count: int, scratch: Scratch) -> np.ndarray:
    """Heights in whole steps above the middle of the tile's: int32 where all sums of `count` of them fit, else int64.

    Where they are missing, anything. Heights beyond what a planet has are those of broken files; they are cut.
    """
    dtype = np.result_type(dem.dtype, np.float32)
    with np.errstate(over="ignore"):
        steps = np.multiply(dem, dtype.type(_STEPS), out=scratch.array("heights", dem.shape, dtype))
    if missing is not None:
        first = np.unravel_index(np.argmin(missing), missing.shape)
        steps[missing] = 0 if missing[first] else steps[first]
    np.clip(np.rint(steps, out=steps), -_GREATEST, _GREATEST, out=steps)
    least, greatest = float(steps.min()), float(steps.max())
    fits = max(-least, greatest) < _EXACT and ((greatest - least) / 2 + 1) * count < 2**31
    if fits:
        steps -= dtype.type((least + greatest) // 2)
    found = scratch.array("steps", dem.shape, np.int32 if fits else np.int64)
    np.copyto(found, steps, casting="unsafe")
    return found


def _centre(values: np.ndarray, radii: tuple[int, int]) -> np.ndarray:
    a, b = radii
    return values[b : values.shape[0] - b, a : values.shape[1] - a]


def _ring_sum(values: np.ndarray, outer: tuple[int, int], inner: tuple[int, int], scratch: Scratch) -> np.ndarray:
    """Sum over the disc, less that over the inner one where it has a radius."""
    total = disc_sum(values, outer, scratch)
    if inner != (0, 0):
        margin = (outer[0] - inner[0], outer[1] - inner[1])
        total -= disc_sum(_centre(values, margin), inner, scratch, "inner sum")
    return total
