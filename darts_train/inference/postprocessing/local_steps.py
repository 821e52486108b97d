"""What is done to a map within neighbourhoods, strip by strip: the trusted area, then median, opening, closing.

Every step looks at so many pixels around; a strip is read with the sum of them (`halo`) around it, so that its own rows
come out as they would from the whole map.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darts_train.inference.writing.rasters import NODATA
from darts_train.raster.grid import Grid
from darts_train.raster.masks import erode_valid
from darts_train.raster.morphology import closed, majority, opened
from darts_train.raster.strips import Strip

Classes = NDArray[np.uint8]
LOCAL = ("masked", "median", "opening", "closing")


@dataclass(frozen=True)
class LocalSteps:
    """Sides of the squares and radii, pixels, 0 for none; `classes` is the number of classes."""

    erosion: int
    frame: int
    median: int
    opening: int
    closing: int
    classes: int

    @property
    def halo(self) -> int:
        """Rows above and below that the rows of a strip depend on."""
        return self.erosion + self.median // 2 + 2 * (self.opening // 2) + 2 * (self.closing // 2)

    def apply(
        self, found: Classes, trusted: NDArray[np.bool_], strip: Strip, grid: Grid
    ) -> tuple[Classes, dict[str, int]]:
        """Mend a strip.

        Args:
            found: class indices uint8 of `strip.outer`, NODATA where the map has none.
            trusted: bool, the same shape: where the quality is good enough.
            strip: which rows, of a map on `grid`.
            grid: of the map.

        Returns:
            Class indices uint8 of `strip.inner`, NODATA where nothing is trusted, and how many of its pixels each
            step changed.
        """
        rows, known = strip.rows, (found != NODATA) & trusted
        if self.erosion:
            known = erode_valid(known, self.erosion)
        known &= ~self._in_frame(strip, grid)
        now = np.where(known, found, np.uint8(NODATA))
        changed = {"masked": _differing(found, now, rows)}
        for name, step in (("median", majority), ("opening", opened), ("closing", closed)):
            size = getattr(self, name)
            if size:
                before, now = now, step(now, known, size, self.classes)
                changed[name] = _differing(before, now, rows)
        return now[rows], changed

    def _in_frame(self, strip: Strip, grid: Grid) -> NDArray[np.bool_]:
        """Which pixels of `strip.outer` lie in the frame of the map."""
        outer = strip.outer
        rows, columns = np.arange(outer.y, outer.bottom), np.arange(outer.x, outer.right)
        above = (rows < self.frame) | (rows >= grid.height - self.frame)
        beside = (columns < self.frame) | (columns >= grid.width - self.frame)
        in_frame: NDArray[np.bool_] = above[:, None] | beside[None, :]
        return in_frame


def _differing(before: Classes, after: Classes, rows: slice) -> int:
    return int(np.count_nonzero(before[rows] != after[rows]))
