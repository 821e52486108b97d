"""Joining overlapping windows into one map without seams.

A window's weight is the product of one ramp per axis; ramps rise over the pixels that a window shares with its
neighbours and are divided by their sum, so that at every pixel of the scene the weights of all windows
there sum to one. Along an axis the windows differ only in place, so the sum separates, and a few vectors do
instead of an accumulated weight map: nothing is divided at the end and memory does not grow.

The ramp is linear and never 0 within the window (its first value is 1 / (overlap + 1)): a weight of 0
would throw a prediction away, and at the border of a scene there is no other.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def ramp(window_size: int, overlap: int) -> npt.NDArray[np.float64]:
    """Weights float64 [window_size] before normalisation: up over `overlap` pixels, 1, down over as many.

    Where the overlap is more than half a window, up and down meet in a triangle.
    """
    rise = np.arange(1, window_size + 1) / (overlap + 1)
    return np.minimum(1.0, np.minimum(rise, rise[::-1]))


def axis_weights(starts: Sequence[int], window_size: int, overlap: int, size: int) -> list[npt.NDArray[np.float64]]:
    """Weights of each window along one axis, which sum to 1 at every pixel below `size`.

    Args:
        starts: first pixel of each window; together the windows must cover 0…size - 1.
        window_size: pixels of a window; it may reach beyond `size`, where its weight is 0.
        overlap: pixels that neighbouring windows were asked to share.
        size: pixels of the axis.

    Returns:
        One float64 [window_size] per window.

    Raises:
        ValueError: a pixel is covered by no window.
    """
    base = ramp(window_size, overlap)
    total = np.zeros(max(size, max(starts, default=0) + window_size))
    for start in starts:
        total[start : start + window_size] += base
    if not (total[:size] > 0).all():
        raise ValueError(f"windows of {window_size} at {list(starts)} leave pixels of {size} uncovered")
    total[size:] = np.inf
    return [base / total[start : start + window_size] for start in starts]
