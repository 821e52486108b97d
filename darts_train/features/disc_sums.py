"""Sums over a disc around every pixel, in whole numbers, for little more than its outline costs.

A disc is a rectangle in its middle and four caps. Seven numbers of three tables (prefix sums of rows, of columns and
of both) would do for the rectangle and one row; a cap above or below is one run of pixels per row, one to the left or
right one run per column, and each run is a difference of two prefix sums. A disc of radius 34 px has 3577 pixels and
takes 84 additions, one of radius 4 takes 16.

All is done modulo the size of the type: a prefix sum may overflow, a sum over the disc must fit. So heights that fit
32 bits stay in 32 bits, and no result depends on where a table begins.
"""

import math
from functools import cache

import numpy as np
import numpy.typing as npt

_BLOCK_ROWS = 64  # a block of results and its part of the tables stay in the processor's cache


@cache
def half_widths(radii: tuple[int, int]) -> tuple[int, ...]:
    """For each row of the disc (x/a)² + (y/b)² ≤ 1, from −b to b: how many pixels it reaches to each side."""
    a, b = radii
    return tuple(math.isqrt(a * a * (b * b - y * y) // (b * b)) if b else a for y in range(-b, b + 1))


def pixels_of(radii: tuple[int, int]) -> int:
    """How many pixels the disc has."""
    return sum(2 * reach + 1 for reach in half_widths(radii))


class Scratch:
    """Arrays that the next tile uses again: to get fresh memory costs as much as to fill it with sums."""

    def __init__(self) -> None:
        self._kept: dict[str, np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
        """An array of any content, valid until the next call with this name."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if name not in self._kept or self._kept[name].size < size:
            self._kept[name] = np.empty(size, np.uint8)
        return self._kept[name][:size].view(dtype).reshape(shape)


def disc_sum(values: np.ndarray, radii: tuple[int, int], scratch: Scratch, name: str = "sum") -> np.ndarray:
    """Sum over the disc around each pixel.

    Args:
        values: integers [h + 2 b, w + 2 a], of a type that holds each sum.
        radii: a and b, pixels along columns and rows.
        scratch: memory for the tables and the result.
        name: of the result's memory there.

    Returns:
        The type of `values`, [h, w], in `scratch`.
    """
    a, b = radii
    rows = half_widths(radii)[b:]  # row y ≥ 0 reaches rows[y] to each side
    columns = [sum(reach >= x for reach in rows) - 1 for x in range(a + 1)]  # column x reaches columns[x] up and down
    q = min(range(b + 1), key=lambda y: (b - y) + (a - rows[y]))  # the rectangle: rows to q, columns to rows[q]
    by_row, by_column, by_both = _tables(values, scratch)
    total = scratch.array(name, (values.shape[0] - 2 * b, values.shape[1] - 2 * a), values.dtype)
    for top in range(0, len(total), _BLOCK_ROWS):
        block = total[top : top + _BLOCK_ROWS]
        at = _Place(top + b, a, block.shape)
        _rectangle(block, at, by_both, rows[q], q)
        for y in range(q + 1, b + 1):
            for row in (y, -y):
                block += at.of(by_row, row, rows[y] + 1)
                block -= at.of(by_row, row, -rows[y])
        for x in range(rows[q] + 1, a + 1):
            for column in (x, -x):
                block += at.of(by_column, columns[x] + 1, column)
                block -= at.of(by_column, -columns[x], column)
    return total


class _Place:
    """Where a block of results lies in the tables."""

    def __init__(self, top: int, left: int, shape: tuple[int, ...]) -> None:
        self.top, self.left, self.shape = top, left, shape

    def of(self, table: np.ndarray, down: int, right: int) -> np.ndarray:
        height, width = self.shape
        return table[self.top + down :, self.left + right :][:height, :width]


def _rectangle(block: np.ndarray, at: _Place, table: np.ndarray, reach: int, rows: int) -> None:
    np.subtract(at.of(table, rows + 1, reach + 1), at.of(table, rows + 1, -reach), out=block)
    block -= at.of(table, -rows, reach + 1)
    block += at.of(table, -rows, -reach)


def _tables(values: np.ndarray, scratch: Scratch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prefix sums along rows [h, w + 1], along columns [h + 1, w], and of rectangles [h + 1, w + 1]."""
    (height, width), dtype = values.shape, values.dtype
    by_row = scratch.array("by row", (height, width + 1), dtype)
    by_column = scratch.array("by column", (height + 1, width), dtype)
    by_both = scratch.array("by both", (height + 1, width + 1), dtype)
    by_row[:, 0], by_column[0], by_both[0] = 0, 0, 0
    np.cumsum(values, axis=1, out=by_row[:, 1:], dtype=dtype)
    for row in range(height):  # faster than a cumulative sum along the first axis
        np.add(by_column[row], values[row], out=by_column[row + 1])
        np.add(by_both[row], by_row[row], out=by_both[row + 1])
    return by_row, by_column, by_both
