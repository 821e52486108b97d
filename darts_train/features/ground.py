"""How large a pixel is on the ground, and where north is."""

import math
from dataclasses import dataclass

import numpy as np
from rasterio.crs import CRS
from rasterio.warp import transform

from darts_train.base.errors import UserError
from darts_train.raster.grid import Grid

_WGS84 = "EPSG:4326"
_DISTORTED = 0.05  # share by which a map's own metres may differ from true ones; UTM differs by 0.001, Mercator by 2


@dataclass(frozen=True)
class Ground:
    """Steps of one pixel on the ground, metres: `column` and `row` are (east, north) of one column and one row on.

    East and north are true ones, at the centre of the scene.
    """

    column: tuple[float, float]
    row: tuple[float, float]

    @property
    def cell(self) -> tuple[float, float]:
        """Width and height of a pixel, m."""
        return math.hypot(*self.column), math.hypot(*self.row)

    def slopes(self, by_column: np.ndarray, by_row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Change per pixel along columns and rows → change per metre towards east and north."""
        (east_c, north_c), (east_r, north_r) = self.column, self.row
        area = east_c * north_r - north_c * east_r
        return (by_column * north_r - by_row * north_c) / area, (by_row * east_c - by_column * east_r) / area


def ground(grid: Grid, what: str) -> Ground:
    """Steps of a grid's pixels, taken at its centre, so that all windows of a scene have the same.

    In a projected system they are those of the grid in metres (so 10 m pixels are 10 m), turned by the angle between
    grid north and true north; where the map's metres are far from true ones (web Mercator), and in degrees, they are
    true ones on the WGS84 ellipsoid. Without a coordinate system the numbers of the transform are taken for metres.

    Raises UserError naming `what` where the grid has no transform or a pixel has no area.
    """
    if grid.transform is None:
        raise UserError(f"{what}: slopes and heights need the size of a pixel, and the file has no georeference.")
    a, b, _, d, e, _ = grid.transform
    if a * e - b * d == 0:
        raise UserError(f"{what}: a pixel of this grid has no area.")
    if grid.crs is None:
        return Ground((a, d), (b, e))
    true_column, true_row = _true_steps(grid)
    crs = CRS.from_string(grid.crs)
    if crs.is_geographic:
        return Ground(true_column, true_row)
    unit = float(crs.linear_units_factor[1])
    stretch = math.hypot(*true_column) / (math.hypot(a, d) * unit)
    if abs(stretch - 1) > _DISTORTED:
        return Ground(true_column, true_row)
    turn = math.atan2(true_column[1], true_column[0]) - math.atan2(d, a)
    return Ground(_turned(a * unit, d * unit, turn), _turned(b * unit, e * unit, turn))


def _turned(east: float, north: float, angle: float) -> tuple[float, float]:
    sine, cosine = math.sin(angle), math.cos(angle)
    return east * cosine - north * sine, east * sine + north * cosine


def _true_steps(grid: Grid) -> tuple[tuple[float, float], tuple[float, float]]:
    """(east, north) in metres of one column and one row on, at the centre, by longitudes and latitudes."""
    column, row = grid.width / 2, grid.height / 2
    points = [grid.position(*place) for place in ((column, row), (column + 1, row), (column, row + 1))]
    longitudes, latitudes = transform(grid.crs, _WGS84, *zip(*points, strict=True))
    by_longitude, by_latitude = _metres_per_degree(latitudes[0])
    steps = [
        (
            ((longitudes[i] - longitudes[0] + 180) % 360 - 180) * by_longitude,
            (latitudes[i] - latitudes[0]) * by_latitude,
        )
        for i in (1, 2)
    ]
    return steps[0], steps[1]


def _metres_per_degree(latitude: float) -> tuple[float, float]:
    """Metres of one degree of longitude and of latitude, from the radii of curvature of the WGS84 ellipsoid."""
    major, eccentricity = 6378137.0, 0.00669437999014  # m; first eccentricity squared
    sine = math.sin(math.radians(latitude))
    prime = major / math.sqrt(1 - eccentricity * sine**2)
    meridian = major * (1 - eccentricity) / (1 - eccentricity * sine**2) ** 1.5
    return math.radians(1) * prime * math.cos(math.radians(latitude)), math.radians(1) * meridian
