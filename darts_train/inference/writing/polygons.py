"""Objects of a map as polygons: every 8-connected patch of a foreground class, with its size and probability.

The map is read strip by strip and polygons are written in batches, so that memory does not grow with the scene.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Geod
from rasterio.windows import Window as RasterioWindow
from shapely.geometry.polygon import orient

from darts_train.base.errors import UserError
from darts_train.inference.writing.objects import Found, ObjectFinder
from darts_train.inference.writing.rasters import CLASSES, COG_BLOCK, PROBABILITIES, open_map
from darts_train.inference.writing.segment_files import WRITERS
from darts_train.raster.grid import Grid

WGS84 = 4326
DISTORTED = 0.05  # share by which areas on the map may differ from true ones; UTM differs by 0.001
BATCH = 20_000  # polygons written at once
STRIP_PIXELS = 2**22  # searched at once, at some 50 bytes each
COLUMNS = ("class_index", "class", "pixels", "area_m2", "mean_probability", "max_probability")
_SAMPLE = 100  # a map's areas are compared with true ones on squares of this part of its side


def segment_files(formats: Sequence[str]) -> tuple[str, ...]:
    """Names of the files of polygons for the values of --polygons. Raises UserError for `none` beside another."""
    chosen = tuple(dict.fromkeys(formats))
    if "none" in chosen and len(chosen) > 1:
        raise UserError("--polygons: none goes with no other.")
    return tuple(WRITERS[name][0] for name in chosen if name != "none")


def write_segments(
    directory: Path, grid: Grid, classes: Sequence[str], min_pixels: int, formats: Sequence[str] = ("gpkg",)
) -> int:
    """Write polygons of the two maps in a directory; returns their number (0 makes an empty layer).

    Without a coordinate reference system polygons are in pixel coordinates or those of the transform, and `area_m2`
    is null. Areas are those on the ground, see `_area_of`.
    """
    names = segment_files(formats)
    if not names:
        return 0
    area_of, total = _area_of(grid), 0
    with ExitStack() as stack:
        writers = [WRITERS[kind][1](directory / name, grid.crs) for kind, name in zip(formats, names, strict=True)]
        files = [stack.enter_context(closing(writer)) for writer in writers]
        found = iter_objects(directory, len(classes), min_pixels)
        while (batch := list(itertools.islice(found, BATCH))) or not total:
            frame = _frame(batch, grid, classes, area_of)
            for file in files:
                file.write(frame)
            total += len(batch)
            if not batch:
                break
    return total


def iter_objects(directory: Path, class_count: int, min_pixels: int, pixels: int = STRIP_PIXELS) -> Iterator[Found]:
    """Objects of the maps in a directory; they are searched in about so many pixels at a time."""
    finder = ObjectFinder(class_count, min_pixels)
    with open_map(directory / CLASSES) as classes, open_map(directory / PROBABILITIES) as chances:
        width, height = classes.width, classes.height
        rows = max(1, pixels // width)
        for top in range(0, height, COG_BLOCK):  # a row of tiles is read once
            window = RasterioWindow(0, top, width, min(COG_BLOCK, height - top))
            here, percents = classes.read(1, window=window), chances.read(window=window)
            for first in range(0, len(here), rows):
                part = slice(first, min(first + rows, len(here)))
                yield from finder.take(here[part], percents[:, part], top + part.stop == height)


def _frame(
    batch: Sequence[Found], grid: Grid, classes: Sequence[str], area_of: Callable[[Any], list[float | None]]
) -> gpd.GeoDataFrame:
    a, b, c, d, e, f = grid.transform or (1, 0, 0, 0, 1, 0)
    turn = np.array([[a, d], [b, e]])
    geometries = shapely.transform([found.outline for found in batch], lambda points: points @ turn + [c, f])
    columns = {
        "class_index": np.array([found.class_index for found in batch], np.int32),
        "class": [classes[found.class_index] for found in batch],
        "pixels": np.array([found.pixels for found in batch], np.int64),
        "area_m2": np.array(area_of(geometries), np.float64),
        "mean_probability": np.array([found.percents / found.pixels / 100 for found in batch], np.float64),
        "max_probability": np.array([found.greatest / 100 for found in batch], np.float64),
    }
    frame = gpd.GeoDataFrame(columns, geometry=list(geometries), crs=grid.crs)[[*COLUMNS, "geometry"]]
    return frame.astype({"class": "str"})


def _area_of(grid: Grid) -> Callable[[Any], list[float | None]]:
    """Areas in square metres of geometries on a grid; None where the system is unknown.

    Those of the map where its metres are true ones (UTM: to 0.1 %), so that ten 10 m pixels are 1000 m². Geodesic, on
    the system's ellipsoid, in degrees and where the map's metres are something else (web Mercator: eight times too
    large at 69° north).
    """
    if grid.crs is None:
        return _unknown
    crs = grid.crs
    system = CRS.from_user_input(crs)
    if system.geodetic_crs is None:  # a site's own system, of which nobody knows where on the earth it lies
        return _local(system)
    if system.is_geographic or not system.axis_info:
        return lambda geometries: _geodesic(geometries, crs, system)
    square_metre = system.axis_info[0].unit_conversion_factor ** 2
    samples = _samples(grid)
    true = np.array(_geodesic(samples, crs, system))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = shapely.area(samples) * square_metre / true
    if (np.abs(ratios[np.isfinite(ratios)] - 1) > DISTORTED).any():
        return lambda geometries: _geodesic(geometries, crs, system)
    return lambda geometries: list(shapely.area(geometries) * square_metre)


def _unknown(geometries: Any) -> list[float | None]:
    return [None] * len(geometries)


def _local(system: CRS) -> Callable[[Any], list[float | None]]:
    """Areas as the map has them, where the system is one of two axes of one unit."""
    factors = {axis.unit_conversion_factor for axis in system.axis_info}
    if len(system.axis_info) != 2 or len(factors) > 1:
        return _unknown
    square_metre = factors.pop() ** 2
    return lambda geometries: list(shapely.area(geometries) * square_metre)


def _samples(grid: Grid) -> npt.NDArray[Any]:
    """Squares at the corners and in the middle of a grid."""
    width, height = max(1.0, grid.width / _SAMPLE), max(1.0, grid.height / _SAMPLE)
    places = [(x, y) for x in (0.0, grid.width - width) for y in (0.0, grid.height - height)]
    places.append((grid.width / 2, grid.height / 2))
    rings = [
        [grid.position(x + i * width, y + j * height) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))] for x, y in places
    ]
    return np.array([shapely.Polygon(ring) for ring in rings])


def _geodesic(geometries: Any, crs: str, system: CRS) -> list[float | None]:
    if not len(geometries):
        return []
    placed = gpd.GeoSeries(list(geometries), crs=crs)
    if not system.is_geographic:
        placed = placed.to_crs(system.geodetic_crs or WGS84)
    geod = system.get_geod() or Geod(ellps="WGS84")
    return [
        sum(abs(geod.geometry_area_perimeter(orient(part))[0]) for part in shapely.get_parts(shape)) for shape in placed
    ]
