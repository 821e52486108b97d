"""The windows of a scene, row by row, and the weights with which they are blended."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from darts_train.base.errors import UserError
from darts_train.raster.blending import axis_weights
from darts_train.raster.patches import Window, patch_starts


@dataclass(frozen=True)
class WindowPlan:
    """How a scene of `width` × `height` pixels is covered by squares of `size` that share `overlap` pixels.

    A scene smaller than a window has one window along that axis, which reaches beyond it.
    """

    width: int
    height: int
    size: int
    overlap: int

    def __post_init__(self) -> None:
        if self.overlap >= self.size:
            raise UserError(f"--window-overlap: {self.overlap} must be less than --window-size, {self.size}.")

    @cached_property
    def columns(self) -> list[int]:
        """First column of each window of a row."""
        return patch_starts(self.width, self.size, self.overlap)

    @cached_property
    def rows(self) -> list[int]:
        """First row of each row of windows."""
        return patch_starts(self.height, self.size, self.overlap)

    def __len__(self) -> int:
        return len(self.columns) * len(self.rows)

    def window(self, row: int, column: int) -> Window:
        """The window in row `row` and column `column` of windows."""
        return Window(self.columns[column], self.rows[row], self.size, self.size)

    def weights(self, row: int, column: int) -> npt.NDArray[np.float32]:
        """Weights float32 [size, size] of a window; at every pixel of the scene those of all windows sum to 1."""
        return np.outer(self._row_weights[row], self._column_weights[column]).astype(np.float32)

    @cached_property
    def _row_weights(self) -> list[npt.NDArray[np.float64]]:
        return axis_weights(self.rows, self.size, self.overlap, self.height)

    @cached_property
    def _column_weights(self) -> list[npt.NDArray[np.float64]]:
        return axis_weights(self.columns, self.size, self.overlap, self.width)
