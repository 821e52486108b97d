"""Where the pixels of a scene are on the earth."""

import math
from dataclasses import dataclass

from darts_train.raster.patches import Window


@dataclass(frozen=True)
class Grid:
    """Size and place of a raster.

    `transform` is (a, b, c, d, e, f): x = a·column + b·row + c, y = d·column + e·row + f, of a pixel's upper left
    corner; None where the raster has no place. `crs` is WKT or `EPSG:…`, None where nobody knows it.
    """

    width: int
    height: int
    transform: tuple[float, ...] | None = None
    crs: str | None = None

    def window(self, window: Window) -> "Grid":
        """The grid of a window, which may reach beyond."""
        if self.transform is None:
            return Grid(window.width, window.height, None, self.crs)
        a, b, _, d, e, _ = self.transform
        x, y = self.position(window.x, window.y)
        return Grid(window.width, window.height, (a, b, x, d, e, y), self.crs)

    def position(self, column: float, row: float) -> tuple[float, float]:
        """Map coordinates of a (fractional) column and row; these themselves where there is no transform."""
        if self.transform is None:
            return column, row
        a, b, c, d, e, f = self.transform
        return a * column + b * row + c, d * column + e * row + f

    @property
    def extent(self) -> Window:
        """All pixels."""
        return Window(0, 0, self.width, self.height)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Width and height of a pixel in units of the CRS (m, degrees); (1, 1) without a transform."""
        if self.transform is None:
            return 1.0, 1.0
        a, b, _, d, e, _ = self.transform
        return math.hypot(a, d), math.hypot(b, e)


def grid_differences(one: Grid, other: Grid, tolerance: float = 0.01) -> list[str]:
    """How two grids differ, in words with numbers; nothing where they are the same.

    A shift or stretch below `tolerance` pixels, taken at the four corners, counts as the same: writers round.
    The text of a CRS is not compared: two texts can mean one system, which takes a geo library to tell.
    """
    if (one.width, one.height) != (other.width, other.height):
        sizes = f"{one.width} x {one.height} pixels against {other.width} x {other.height}"
        return [sizes, *_place_differences(one, other, tolerance)]
    if one.transform is None or other.transform is None:
        return []
    pixel = min(one.pixel_size)
    corners = [(0, 0), (one.width, 0), (0, one.height), (one.width, one.height)]
    shifts = [math.dist(one.position(*corner), other.position(*corner)) / pixel for corner in corners]
    if max(shifts) <= tolerance:
        return []
    if max(shifts) - min(shifts) <= tolerance:
        return [f"shifted by {max(shifts):.4g} pixels"]
    sizes = f"{_numbers(one.pixel_size)} against {_numbers(other.pixel_size)}"
    return [f"pixel size {sizes}, corners off by up to {max(shifts):.4g} pixels"]


def _place_differences(one: Grid, other: Grid, tolerance: float) -> list[str]:
    """Pixel sizes that differ, else how far the upper left corners of two grids of different size are apart."""
    if one.transform is None or other.transform is None:
        return []
    pixel = min(other.pixel_size)
    if max(abs(a - b) for a, b in zip(one.pixel_size, other.pixel_size, strict=True)) > tolerance * pixel:
        return [f"pixel size {_numbers(one.pixel_size)} against {_numbers(other.pixel_size)}"]
    shift = math.dist(one.position(0, 0), other.position(0, 0)) / pixel
    return [f"upper left corner off by {shift:.4g} pixels"] if shift > tolerance else []


def _numbers(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:.6g}" for value in values)
