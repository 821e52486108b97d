"""Pixels of a source brought onto another grid: read with a buffer in one piece, warped once, by cubic convolution.

Whatever the source is (a file, tiles, a cube, an address), what it gives for a window goes through here, so the same
elevation gives the same pixels from each of them. A grid whose pixels would need more of the source than is good for
the memory is halved until it does not.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import shapely
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.warp import transform as transform_points

from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window

_TOLERANCE = 0.01  # pixels of the source by which a position may be off; GDAL's own is 0.125, which shows in slopes
_LARGEST = 48 * 1024**2  # pixels of the source in memory at once: 192 MB of float32 for each band
_LEAST = 16  # a grid this small is not halved again
_STEPS = (
    20  # a grid is laid out in the source by 21 x 21 of its points: straight lines of one projection bend in another
)
_REACH = 2  # pixels on each side that cubic convolution looks at
_TURN = 360.0  # degrees


class PixelSource(Protocol):
    """Something with pixels on a grid of its own that has a place on the earth; small, and sent to other processes."""

    @property
    def address(self) -> str:
        """What the user knows it by."""
        ...

    @property
    def grid(self) -> Grid:
        """Size and place; transform and coordinate system are known."""
        ...

    @property
    def labels(self) -> tuple[str | None, ...]:
        """Names of the bands, None where there is none."""
        ...

    def files(self, window: Window) -> tuple[Path, ...]:
        """Local files that decide the pixels of a window; none of what lies elsewhere."""
        ...

    def outlines(self, window: Window) -> list[Window]:
        """Rectangles that hold data, of those that touch a window."""
        ...

    def read(self, bands: Sequence[int], window: Window) -> np.ndarray:
        """Pixels of a window within the grid, float32 [b, h, w], NaN where there is no data. `bands` count from 0.

        Raises UserError where it cannot be read.
        """
        ...


def warp(
    source: PixelSource, bands: Sequence[int], grid: Grid, limits: tuple[float, float] = (-math.inf, math.inf)
) -> np.ndarray:
    """Bands of a source on the pixels of `grid`, float32 [b, h, w]; NaN where the source says nothing.

    Both grids must have a place on the earth. Where a pixel of the grid is larger than those of the source, all that it
    covers counts (the kernel is widened by the ratio of the two at the middle of the grid). What the source says beyond
    `limits` is no data. Raises UserError where the source cannot be read.
    """
    values = np.full((len(bands), grid.height, grid.width), np.nan, np.float32)
    _fill(source, bands, grid, limits, values)
    return values


def touched(source: Grid, grid: Grid, margin: int = _REACH) -> list[Window]:
    """Windows of `source`, within it, that the pixels of `grid` lie in, with a margin in pixels of the larger kind.

    None where they do not meet; two where the source is in degrees and the grid lies across the antimeridian.
    """
    columns, rows = _positions(source, grid, *_lattice(grid))
    buffer = math.ceil(margin * max(1.0, *_ratio(source, grid))) + 2
    windows = (_around(*part).grown(buffer).intersection(source.extent) for part in _parts(source, columns, rows))
    return [window for window in windows if window.width and window.height]


def covered_share(source: PixelSource, grid: Grid) -> float:
    """Share (0 to 1) of the area of `grid` in the outlines of the source's data, as its projection shows it."""
    along, zeros = np.arange(_STEPS) / _STEPS, np.zeros(_STEPS)
    columns = np.concatenate([along, zeros + 1, 1 - along, zeros]) * grid.width
    rows = np.concatenate([zeros, along, zeros + 1, 1 - along]) * grid.height
    columns, rows = _positions(source.grid, grid, columns, rows)
    if not np.isfinite(columns + rows).all():
        return 0.0
    turn = _turn(source.grid)
    across = turn is not None and np.ptp(columns) > turn / 2
    if across and turn is not None:
        columns = np.where(columns < columns.min() + turn / 2, columns + turn, columns)
    outline = shapely.make_valid(shapely.Polygon(np.column_stack([columns, rows])))
    boxes = []
    for window in touched(source.grid, grid, 0):
        for found in source.outlines(window):
            boxes += [_box(found, 0.0), *([_box(found, turn)] if across and turn is not None else [])]
    if not boxes or not outline.area:
        return 0.0
    return float(shapely.union_all(boxes).intersection(outline).area / outline.area)


def _fill(
    source: PixelSource, bands: Sequence[int], grid: Grid, limits: tuple[float, float], values: np.ndarray
) -> None:
    windows = touched(source.grid, grid)
    if sum(w.width * w.height for w in windows) > _LARGEST and max(grid.width, grid.height) > _LEAST:
        for half in _halves(grid):
            _fill(source, bands, grid.window(half), limits, values[(slice(None), *half.slices(grid.extent))])
        return
    for window in windows:
        pixels = source.read(bands, window)
        pixels[(pixels < limits[0]) | (pixels > limits[1])] = np.nan
        if np.isnan(pixels).all():
            continue
        warped = _warp(pixels, source.grid.window(window), grid)
        np.copyto(values, warped, where=np.isnan(values))


def _warp(pixels: np.ndarray, source: Grid, grid: Grid) -> np.ndarray:
    warped = np.full((len(pixels), grid.height, grid.width), np.nan, np.float32)
    across, down = _ratio(source, grid)
    gaps = {"src_nodata": np.nan, "dst_nodata": np.nan} if np.isnan(pixels).any() else {}  # three times slower
    reproject(
        pixels,
        warped,
        src_transform=_affine(source),
        src_crs=source.crs,
        dst_transform=_affine(grid),
        dst_crs=grid.crs,
        init_dest_nodata=bool(gaps),
        resampling=Resampling.cubic,
        tolerance=_TOLERANCE,
        XSCALE=1 / across,  # GDAL's own guess is made from the outlines, so it would change from window to window
        YSCALE=1 / down,
        UNIFIED_SRC_NODATA="NO",  # a gap in one band is none in the others
        **gaps,
    )
    return warped


def _affine(grid: Grid) -> Affine:
    assert grid.transform is not None
    return Affine(*grid.transform)


def _halves(grid: Grid) -> list[Window]:
    if grid.width >= grid.height:
        half = grid.width // 2
        return [Window(0, 0, half, grid.height), Window(half, 0, grid.width - half, grid.height)]
    half = grid.height // 2
    return [Window(0, 0, grid.width, half), Window(0, half, grid.width, grid.height - half)]


def _lattice(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows [n] of points all over a grid, its corners among them."""
    columns, rows = np.meshgrid(np.linspace(0, grid.width, _STEPS + 1), np.linspace(0, grid.height, _STEPS + 1))
    return columns.ravel(), rows.ravel()


def _positions(source: Grid, grid: Grid, columns: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where points of `grid` lie in `source`, both in (fractional) columns and rows; not finite where nowhere."""
    a, b, c, d, e, f = _affine(grid)[:6]
    xs, ys = transform_points(grid.crs, source.crs, a * columns + b * rows + c, d * columns + e * rows + f)
    a, b, c, d, e, f = (~_affine(source))[:6]
    x, y = np.asarray(xs, float), np.asarray(ys, float)
    return a * x + b * y + c, d * x + e * y + f


def _ratio(source: Grid, grid: Grid) -> tuple[float, float]:
    """Columns and rows of the source that one pixel in the middle of the grid is wide and high; 1 where unknown."""
    column, row = grid.width / 2, grid.height / 2
    columns, rows = _positions(source, grid, np.array([column, column + 1, column]), np.array([row, row, row + 1]))
    across, down = math.hypot(*(columns[1:] - columns[0])), math.hypot(*(rows[1:] - rows[0]))
    turn = _turn(source)
    if not (math.isfinite(across * down) and across * down) or (turn is not None and across > turn / 2):
        return 1.0, 1.0
    return across, down


def _parts(source: Grid, columns: np.ndarray, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The points that lie somewhere; those east and west of the antimeridian apart, where they are on both sides."""
    finite = np.isfinite(columns + rows)
    columns, rows = columns[finite], rows[finite]
    turn = _turn(source)
    if turn is None or not columns.size or np.ptp(columns) <= turn / 2:
        sides = [np.ones(len(columns), bool)] if columns.size else []
    else:
        west = columns < columns.min() + turn / 2
        sides = [~west, west]
    for side in sides:
        yield columns[side], rows[side]


def _turn(grid: Grid) -> float | None:
    """Columns in 360 degrees; None where the grid is not in degrees."""
    return _TURN / grid.pixel_size[0] if CRS.from_user_input(grid.crs).is_geographic else None


def _around(columns: np.ndarray, rows: np.ndarray) -> Window:
    x, y = math.floor(columns.min()), math.floor(rows.min())
    return Window(x, y, math.ceil(columns.max()) - x, math.ceil(rows.max()) - y)


def _box(window: Window, shift: float) -> shapely.Polygon:
    return shapely.box(window.x + shift, window.y, window.right + shift, window.bottom)
