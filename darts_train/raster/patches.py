"""Where the patches of a scene lie: pure arithmetic on sizes, the same for training and for maps."""

import math
from dataclasses import dataclass
from typing import Literal

from darts_train.base.errors import UserError

Edge = Literal["shift", "pad", "drop"]


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: column `x` and row `y` of its first pixel, `width` and `height`.

    It may reach beyond the scene, to negative columns and rows too.
    """

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """Column after the last one."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """Row after the last one."""
        return self.y + self.height

    def grown(self, margin: int) -> "Window":
        """The window with `margin` pixels more on each side (fewer where negative)."""
        return Window(self.x - margin, self.y - margin, self.width + 2 * margin, self.height + 2 * margin)

    def union(self, other: "Window") -> "Window":
        """The least window that holds both."""
        x, y = min(self.x, other.x), min(self.y, other.y)
        return Window(x, y, max(self.right, other.right) - x, max(self.bottom, other.bottom) - y)

    def intersection(self, other: "Window") -> "Window":
        """The pixels of both; width or height is 0 where there are none."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        return Window(x, y, max(0, min(self.right, other.right) - x), max(0, min(self.bottom, other.bottom) - y))

    def slices(self, origin: "Window") -> tuple[slice, slice]:
        """Rows and columns of this window in an array that holds the window `origin`, which must contain it."""
        x, y = self.x - origin.x, self.y - origin.y
        return slice(y, y + self.height), slice(x, x + self.width)


def patch_starts(size: int, patch_size: int, overlap: int, edge: Edge = "shift") -> list[int]:
    """First pixels of the patches along one axis.

    Starts are 0, step, 2·step … below size − overlap, step = patch_size − overlap; there are
    ceil((size − overlap) / step) of them, and together they cover every pixel. `edge` says what becomes of one that
    would reach beyond the end:

        shift: it is moved back to size − patch_size, so the last patch overlaps more;
        pad: it stays, and whoever reads pads it with no data; without overlap every pixel is covered exactly once;
        drop: it is left out, and so are the pixels that only it would cover.

    An axis no longer than a patch has the one start 0, padded; with `drop` a shorter one has none.

    Raises:
        UserError: no pixel at all, or an overlap that is not below the patch size.
    """
    if overlap >= patch_size:
        raise UserError(f"--overlap: {overlap} must be less than --patch-size, {patch_size}.")
    if size < 1 or overlap < 0:
        raise UserError(f"Cannot cut {size} pixels into patches of {patch_size} with an overlap of {overlap}.")
    step = patch_size - overlap
    if edge == "drop":
        return list(range(0, size - patch_size + 1, step))
    if size <= patch_size:
        return [0]
    starts = [i * step for i in range(math.ceil((size - overlap) / step))]
    return starts if edge == "pad" else [min(start, size - patch_size) for start in starts]


def patch_windows(width: int, height: int, patch_size: int, overlap: int, edge: Edge = "shift") -> list[Window]:
    """Windows of all patches of a scene, row by row. Raises UserError as `patch_starts`."""
    columns = patch_starts(width, patch_size, overlap, edge)
    rows = patch_starts(height, patch_size, overlap, edge)
    return [Window(x, y, patch_size, patch_size) for y in rows for x in columns]
