"""A whole sample in few cells: area means of its patches, put together where they lie.

Cells are a fraction of the sample's height and width, and cut through pixels: a shift by a pixel moves the means a
little, never by a step. Pixels that several patches show count several times.
"""

import functools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from darts_train.base.errors import UserError
from darts_train.dataset.grouping.units import Units
from darts_train.dataset.reader import TrainData
from darts_train.raster.band import NODATA


@dataclass(frozen=True, eq=False)
class Cells:
    """A sample in g x g cells.

    Attributes:
        means: of valid pixels, stored numbers (codes), float32 [c, g, g]; 0 where a cell has none.
        valid: share of each cell that valid pixels fill, float32 [c, g, g].
    """

    means: np.ndarray
    valid: np.ndarray


@functools.lru_cache(maxsize=64)
def overlap_weights(size: int, cells: int) -> np.ndarray:
    """How much of pixel p lies in cell k of `cells` equal ones over `size` pixels: float32 [k, p], shared."""
    edges = np.arange(cells + 1) * (size / cells)
    pixels = np.arange(size)
    low = np.maximum(edges[:-1, None], pixels)
    high = np.minimum(edges[1:, None], pixels + 1)
    return np.asarray(np.maximum(high - low, 0), np.float32)


def cells_of(codes: np.ndarray, grid: int) -> Cells:
    """Cells of one picture [c, h, w]: uint16 codes, or float with NaN for no data."""
    bands, height, width = codes.shape
    sums, counts = np.zeros((2, bands, grid, grid), np.float32)
    down, right = overlap_weights(height, grid), overlap_weights(width, grid)
    add_patch(sums, counts, codes, down, right)
    return _means(sums, counts, down, right)


class Mosaics:
    """Samples of a set as cells; may be asked by several threads.

    Raises UserError where a sample has several patches and the set does not say where they lie.
    """

    def __init__(self, data: TrainData, units: Units, grid: int) -> None:
        self._data, self._units, self._grid = data, units, grid
        self._corners = _corners(data.metadata, units)
        self._side = int(data.y.shape[1])

    def cells(self, unit: int) -> Cells:
        """Read the patches of a unit. Raises UserError where one is damaged."""
        rows = self._units.rows[unit]
        corners = self._corners[rows]
        width, height = corners.max(axis=0) + self._side
        down, right = overlap_weights(int(height), self._grid), overlap_weights(int(width), self._grid)
        sums, counts = np.zeros((2, len(self._data.bands), self._grid, self._grid), np.float32)
        for row, (x, y) in zip(rows, corners, strict=True):
            codes, _ = self._data.read(int(row), checked=False)
            add_patch(sums, counts, codes, down[:, y : y + self._side], right[:, x : x + self._side])
        return _means(sums, counts, down, right)


def add_patch(sums: np.ndarray, counts: np.ndarray, codes: np.ndarray, down: np.ndarray, right: np.ndarray) -> None:
    """Add a patch [c, h, w] (uint16 codes, or float with NaN) to sums and counts float32 [c, g, g].

    `down` [g, h] and `right` [g, w] say how much of its rows and columns lies in each cell.
    """
    whole = np.outer(down.sum(axis=1), right.sum(axis=1))
    for band, pixels in enumerate(codes):
        missing = pixels == NODATA if codes.dtype == np.uint16 else ~np.isfinite(pixels)
        values = pixels.astype(np.float32)
        if missing.any():
            values[missing] = 0
            counts[band] += down @ ((~missing).astype(np.float32) @ right.T)
        else:
            counts[band] += whole
        sums[band] += down @ (values @ right.T)


def _means(sums: np.ndarray, counts: np.ndarray, down: np.ndarray, right: np.ndarray) -> Cells:
    area = np.outer(down.sum(axis=1), right.sum(axis=1))
    return Cells(np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0), np.minimum(counts / area, 1.0))


def _corners(metadata: pd.DataFrame, units: Units) -> np.ndarray:
    """Left and top of every patch in its unit, int64 [n, 2]."""
    if len(units) == len(metadata):  # a patch each
        return np.zeros((len(metadata), 2), np.int64)
    if not {"x", "y"} <= set(metadata.columns) or metadata[["x", "y"]].isna().any(axis=None):
        raise UserError("--by similarity: the set does not say where the patches of a sample lie; give --unit patch.")
    return metadata[["x", "y"]].to_numpy(np.int64)
