"""Where patches lie in their scenes, and which of them show the same pixels.

Windows are hashed into cells as large as a patch, so that only neighbouring cells are compared: the time grows with
the number of patches, not its square, and the memory not at all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

COLUMNS = ("sample_id", "x", "y")
_NEIGHBOURS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
_BLOCK = 2048  # patches that are compared at once
_CELLS = 2**22  # of all tables of a block


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of all patches of a set.

    Attributes:
        scene: number of the scene, int64 [n].
        x: left pixel column, int64 [n].
        y: top pixel row, int64 [n].
        size: side, pixels.
    """

    scene: np.ndarray
    x: np.ndarray
    y: np.ndarray
    size: int

    @classmethod
    def of(cls, metadata: pd.DataFrame, patch_size: int) -> "Windows | None":
        """Windows of a set's rows (sample_id, x, y); None where they do not say where all of them lie."""
        if not set(COLUMNS) <= set(metadata.columns) or metadata[["x", "y"]].isna().any(axis=None):
            return None
        scene, _ = pd.factorize(metadata["sample_id"])
        x, y = (metadata[name].to_numpy(np.int64) for name in ("x", "y"))
        return cls(scene.astype(np.int64), x, y, patch_size)

    def meeting(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Patches of `a` that share a pixel of a scene with a patch of `b`: int64, ascending, each once."""
        found = [np.unique(ours) for ours, _ in self.pairs(a, b)]
        return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

    def shared_pixels(self, a: np.ndarray, b: np.ndarray) -> int:
        """Pixels of the patches of `a` that a patch of `b` shows too; counted in each patch of `a`."""
        return sum(int(self._areas(ours, theirs).sum()) for ours, theirs in self.pairs(a, b))

    def pairs(self, a: np.ndarray, b: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pairs of a patch of `a` and one of `b` that share pixels, in blocks; all pairs of a patch are in one block.

        Of several patches of `b` with one window only one is given.
        """
        a, b = np.unique(np.asarray(a, np.int64)), np.asarray(b, np.int64)
        if not len(a) or not len(b):
            return
        _, first = np.unique(np.stack([self.scene[b], self.x[b], self.y[b]]), axis=1, return_index=True)
        b = b[first][np.argsort(self._keys[b[first]], kind="stable")]
        for start in range(0, len(a), _BLOCK):
            ours, theirs = self._neighbours(a[start : start + _BLOCK], b)
            near = (abs(self.x[ours] - self.x[theirs]) < self.size) & (abs(self.y[ours] - self.y[theirs]) < self.size)
            yield ours[near], theirs[near]

    @cached_property
    def _cells(self) -> np.ndarray:
        """Columns and rows of cells, from 1, int64 [2, n]."""
        cells = np.stack([self.x, self.y]) // self.size
        return np.asarray(cells - cells.min(axis=1, keepdims=True) + 1)

    @cached_property
    def _width(self) -> int:
        return int(self._cells[0].max()) + 2

    @cached_property
    def _keys(self) -> np.ndarray:
        """A number for the cell of each window; that of the cell below is greater by the width."""
        column, row = self._cells
        return np.asarray((self.scene * (row.max() + 2) + row) * self._width + column)

    def _neighbours(self, block: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ours, theirs, keys = [], [], self._keys[b]
        for right, down in _NEIGHBOURS:
            wanted = self._keys[block] + down * self._width + right
            low, high = np.searchsorted(keys, wanted), np.searchsorted(keys, wanted, side="right")
            ours.append(np.repeat(block, high - low))
            theirs.append(b[ranges(low, high)])
        return np.concatenate(ours), np.concatenate(theirs)

    def _areas(self, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        """Of each patch in `ours` the pixels that any of its partners shows."""
        order = np.argsort(ours, kind="stable")
        ours, theirs = ours[order], theirs[order]
        right, down = self.x[theirs] - self.x[ours], self.y[theirs] - self.y[ours]
        low = np.maximum([right, down], 0)
        high = self.size + np.minimum([right, down], 0)
        _, start, count = np.unique(ours, return_index=True, return_counts=True)
        areas = np.zeros(len(start), np.int64)
        for number in np.unique(count):
            which = np.flatnonzero(count == number)
            step = max(1, _CELLS // (2 * number) ** 2)
            for part in np.array_split(which, -(-len(which) // step)):
                at = start[part, None] + np.arange(number)
                areas[part] = _union(low[:, at], high[:, at])
        return areas


def ranges(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """All numbers low[i] … high[i] - 1, one range after the other."""
    length = high - low
    before = np.concatenate([[0], np.cumsum(length)[:-1]])
    return np.repeat(low - before, length) + np.arange(length.sum())


def _union(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Areas of unions of k rectangles: corners int64 [2, n, k] → int64 [n].

    The edges cut the plane into cells, each of which is in a rectangle or not.
    """
    edges = np.sort(np.concatenate([low, high], axis=2), axis=2)
    start, end = edges[..., None, :-1], edges[..., None, 1:]
    inside = ((low[..., None] <= start) & (end <= high[..., None])).astype(np.float32)
    covered = inside[0].swapaxes(1, 2) @ inside[1] > 0
    width, height = np.diff(edges, axis=2)
    return np.asarray((covered * (width[:, :, None] * height[:, None, :])).sum((1, 2)), np.int64)
