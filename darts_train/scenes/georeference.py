"""From the pixels of a grid to longitude and latitude, and back."""

import functools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyproj
import shapely
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as transform_points
from shapely.affinity import translate

from darts_train.base.errors import UserError
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window

WGS84 = "EPSG:4326"
_OUTLINE_POINTS = 16  # per side of a scene: a straight side of one projection is bent in another


def same_crs(one: str | None, other: str | None) -> bool:
    """Whether two texts mean one coordinate system, by meaning and not by spelling; two unknown ones are the same."""
    if one is None or other is None or one == other:
        return one == other
    try:
        return bool(CRS.from_string(one) == CRS.from_string(other))
    except CRSError:
        return False


@functools.lru_cache(maxsize=64)
def lies_on_earth(crs: str) -> bool:
    """Whether a coordinate system says where on the earth it lies; a site's own and one of heights alone do not."""
    return pyproj.CRS.from_user_input(crs).geodetic_crs is not None


def lonlat(grid: Grid, columns: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
    """Longitude and latitude [n, 2] of (fractional) pixels; None where the grid has no place on the earth."""
    if grid.transform is None or grid.crs is None or not lies_on_earth(grid.crs):
        return None
    a, b, c, d, e, f = grid.transform
    xs, ys = a * columns + b * rows + c, d * columns + e * rows + f
    return np.column_stack(transform_points(grid.crs, WGS84, xs, ys))


def window_geometries(grid: Grid, windows: Sequence[Window]) -> list[bytes | None]:
    """Outlines of windows as WKB in EPSG:4326, cut at the antimeridian; None each without georeference."""
    corners = np.array([[(w.x, w.y), (w.right, w.y), (w.right, w.bottom), (w.x, w.bottom)] for w in windows], float)
    points = lonlat(grid, *corners.reshape(-1, 2).T) if len(windows) else None
    if points is None or not np.isfinite(points).all():
        return [None] * len(windows)
    return [shapely.to_wkb(_ring_polygon(ring)) for ring in points.reshape(-1, 4, 2)]


def scene_outline(grid: Grid) -> Any:
    """Outline of a whole grid: a shapely polygon in EPSG:4326, points along its sides; None without georeference."""
    along = np.arange(_OUTLINE_POINTS) / _OUTLINE_POINTS
    zeros, ones = np.zeros_like(along), np.ones_like(along)
    columns = np.concatenate([along, ones, 1 - along, zeros]) * grid.width
    rows = np.concatenate([zeros, along, ones, 1 - along]) * grid.height
    points = lonlat(grid, columns, rows)
    return None if points is None or not np.isfinite(points).all() else _ring_polygon(points)


def _ring_polygon(ring: np.ndarray) -> Any:
    """A polygon of longitudes and latitudes; one that spans the antimeridian becomes two parts, one on each side."""
    if np.ptp(ring[:, 0]) <= 180 and np.abs(ring[:, 0]).max() <= 180:
        return shapely.Polygon(ring)
    steps = (np.diff(ring[:, 0], append=ring[0, 0]) + 180) % 360 - 180
    if abs(steps.sum()) > 180:
        return _polar_cap(ring, steps)
    turned = shapely.Polygon(np.column_stack([ring[:, 0] % 360, ring[:, 1]]))
    east, west = turned.intersection(shapely.box(0, -90, 180, 90)), turned.intersection(shapely.box(180, -90, 360, 90))
    return shapely.union_all([east, translate(west, xoff=-360)])


def _polar_cap(ring: np.ndarray, steps: np.ndarray) -> Any:
    """A ring around a pole, whose longitudes go on by `steps` [n]: all between it and the pole, cut at 180 degrees."""
    longitudes = ring[0, 0] + np.concatenate([[0.0], np.cumsum(steps)])
    pole = np.copysign(90.0, ring[:, 1].mean())
    side = [*zip(longitudes, [*ring[:, 1], ring[0, 1]], strict=True)]
    cap = shapely.make_valid(shapely.Polygon([*side, (longitudes[-1], pole), (longitudes[0], pole)]))
    turns = [translate(cap, xoff=turn) for turn in (-360.0, 0.0, 360.0)]
    return shapely.union_all([shapely.box(-180, -90, 180, 90).intersection(turn) for turn in turns])


def reproject_geometries(geometries: np.ndarray, source: str, target: str) -> np.ndarray:
    """Geometries [n] from one coordinate system to another, vertex by vertex.

    Raises UserError where there is no way between them: one is a site's own, or of heights alone.
    """
    import geopandas
    from pyproj.exceptions import ProjError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.asarray(geopandas.GeoSeries(geometries, crs=source).to_crs(target).values)
        except ProjError:
            names = (geopandas.GeoSeries(crs=crs).crs.name for crs in (source, target))
            raise UserError("no way leads from the coordinate system {} to {}.".format(*names)) from None
