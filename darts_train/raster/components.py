"""Connected components of an array that is only seen strip by strip, from its first row to its last.

Each strip is labelled for itself; where the last row of one meets the first of the next, labels that touch are noted.
When all strips have gone by, the graph of what touches says which labels are one component. So the numbers held are
those of the components and of a row, never those of the pixels, and the result is that of the whole array.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Keys = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Connectivity = Literal[4, 8]


def label_strip(keys: Keys, connectivity: Connectivity = 8) -> tuple[NDArray[np.int32], int]:
    """Components of pixels of one key each: labels int32 [h, w] from 1, 0 where the key is 0; and their number."""
    structure = ndimage.generate_binary_structure(2, 1 if connectivity == 4 else 2)
    labels = np.zeros(keys.shape, np.int32)
    count = 0
    for key in np.flatnonzero(np.bincount(keys.ravel(), minlength=1)):
        if key == 0:
            continue
        mask = keys == key
        found, number = ndimage.label(mask, structure=structure)
        labels[mask] = found[mask] + count
        count += int(number)
    return labels, count


class StripComponents:
    """Components over strips of one array; strips are given twice: to `add`, then, when it is closed, to `of`."""

    def __init__(self, connectivity: Connectivity = 8) -> None:
        self.connectivity = connectivity
        self._starts = [0]  # labels before strip i
        self._edges: list[Numbers] = []  # [2, n] labels that touch across a border of strips
        self._last: tuple[Keys, Numbers] | None = None  # keys and labels of the last row so far
        self._component: Numbers | None = None

    def add(self, keys: Keys) -> Numbers:
        """Take the next strip uint8 [h, w] (0: of no component); returns its labels, from 1, int64 [h, w].

        A label belongs to one component, which may have several; see `component`.
        """
        labels, count = label_strip(keys, self.connectivity)
        numbered = self._numbered(labels, self._starts[-1])
        if self._last is not None and len(keys):
            self._join(*self._last, keys[0], numbered[0])
        if len(keys):
            self._last = keys[-1].copy(), numbered[-1].copy()
        self._starts.append(self._starts[-1] + count)
        return numbered

    def _join(self, above: Keys, labels_above: Numbers, below: Keys, labels_below: Numbers) -> None:
        width = len(above)
        for shift in (0,) if self.connectivity == 4 else (-1, 0, 1):
            left, right = slice(max(0, -shift), min(width, width - shift)), slice(max(0, shift), width + min(0, shift))
            same = (above[left] == below[right]) & (above[left] > 0)
            pairs = np.stack([labels_above[left][same], labels_below[right][same]])
            self._edges.append(np.unique(pairs, axis=1) if pairs.size else pairs)

    def component(self) -> Numbers:
        """The component, from 1, of every label: int64 [labels + 1], entry 0 is 0. No strip can be added after."""
        if self._component is None:
            count = self._starts[-1]
            edges = np.concatenate([np.zeros((2, 0), np.int64), *self._edges], axis=1)
            graph = coo_array((np.ones(edges.shape[1], bool), (edges[0] - 1, edges[1] - 1)), shape=(count, count))
            found = connected_components(graph, directed=False)[1].astype(np.int64) if count else np.zeros(0, np.int64)
            self._component = np.concatenate([np.zeros(1, np.int64), found + 1])
            self._edges = []
        return self._component

    def of(self, strip: int, keys: Keys) -> Numbers:
        """The components int64 [h, w] of the pixels of strip number `strip`, given again."""
        labels, _ = label_strip(keys, self.connectivity)
        return self.component()[self._numbered(labels, self._starts[strip])]

    @staticmethod
    def _numbered(labels: NDArray[np.int32], start: int) -> Numbers:
        return np.where(labels > 0, labels.astype(np.int64) + start, 0)


class Tally:
    """A sum for every label, in one column or several, added up as strips go by."""

    def __init__(self, columns: int = 1, dtype: type[np.int64] | type[np.float64] = np.int64) -> None:
        self._sums: NDArray[Any] = np.zeros((0, columns), dtype)

    def add(self, labels: Numbers, column: int = 0, weights: NDArray[Any] | None = None) -> None:
        """Count labels [n] (0 is nobody's) in a column, each once or with its weight [n]."""
        own = labels > 0
        labels = labels[own]
        if not len(labels):
            return
        low, high = int(labels.min()), int(labels.max())
        if high >= len(self._sums):
            grown = np.zeros((max(high + 1, 2 * len(self._sums)), self._sums.shape[1]), self._sums.dtype)
            grown[: len(self._sums)] = self._sums
            self._sums = grown
        found = np.bincount(labels - low, None if weights is None else weights[own])
        self._sums[low : high + 1, column] += found.astype(self._sums.dtype)

    def of_components(self, component: Numbers) -> NDArray[Any]:
        """Sums [components + 1, columns] by `StripComponents.component`; row 0 is nobody's: zeros."""
        sums = np.zeros((len(component), self._sums.shape[1]), self._sums.dtype)
        known = min(len(sums), len(self._sums))
        sums[:known] = self._sums[:known]
        total = np.zeros((int(component.max(initial=0)) + 1, sums.shape[1]), sums.dtype)
        np.add.at(total, component, sums)
        return total


def with_rows_around(strips: Iterator[Keys], beyond: int) -> Iterator[tuple[int, Keys]]:
    """Number of each strip [h, w], and it with the row above and the row below: [h + 2, w], `beyond` outside."""
    above: Keys | None = None
    number, current = 0, next(strips, None)
    while current is not None:
        following = next(strips, None)
        frame = np.full((len(current) + 2, current.shape[1]), beyond, np.uint8)
        frame[1:-1] = current
        if above is not None:
            frame[0] = above
        if following is not None:
            frame[-1] = following[0]
        yield number, frame
        above, number, current = current[-1], number + 1, following
