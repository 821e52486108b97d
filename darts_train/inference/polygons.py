"""Objects of a map as polygons: every 8-connected patch of a foreground class, with its size and probability."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.features
import shapely
from affine import Affine
from pyproj import CRS, Geod
from scipy import ndimage
from shapely.geometry.polygon import orient

from darts_train.base.log import logger
from darts_train.inference.rasters import CLASSES, NODATA, PROBABILITIES, open_map
from darts_train.raster.grid import Grid

SEGMENTS, LAYER = "segments.gpkg", "segments"
WGS84 = 4326
DISTORTED = 0.05  # share by which areas on the map may differ from true ones; UTM differs by 0.001
EIGHT = np.ones((3, 3), bool)
LARGE = 20_000  # pixels along a side, from which the vector step needs gigabytes
COLUMNS = ("class_index", "class", "pixels", "area_m2", "mean_probability", "max_probability")
_log = logger("inference")


def write_segments(directory: Path, grid: Grid, classes: Sequence[str], min_pixels: int) -> int:
    """Write segments.gpkg from the two maps in a directory; returns the number of polygons (0 makes an empty layer).

    Without a coordinate reference system polygons are in pixel coordinates or those of the transform, and `area_m2`
    is null. Areas are those on the ground, see `_areas`.
    """
    if grid.width * grid.height > LARGE**2:
        _log.warning("polygons of %d x %d pixels are made in memory", grid.width, grid.height)
    with open_map(directory / CLASSES) as dataset:
        found = dataset.read(1)
    rows = list(_segments(directory, found, classes, min_pixels))
    transform = Affine(*(grid.transform or (1, 0, 0, 0, 1, 0)))
    geometries = [_placed(geometry, transform) for _, geometry in rows]
    areas = _areas(geometries, grid.crs)
    frame = gpd.GeoDataFrame(
        {name: [row[name] for row, _ in rows] for name in COLUMNS if name != "area_m2"} | {"area_m2": areas},
        geometry=geometries,
        crs=grid.crs,
    )[[*COLUMNS, "geometry"]]
    frame = frame.astype({"class_index": "int32", "pixels": "int64", "class": "str"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a layer without a CRS is what was asked for
        frame.to_file(directory / SEGMENTS, driver="GPKG", layer=LAYER, engine="pyogrio", geometry_type="MultiPolygon")
    return len(frame)


def _segments(
    directory: Path, found: npt.NDArray[np.uint8], classes: Sequence[str], min_pixels: int
) -> Iterator[tuple[dict[str, Any], Any]]:
    """Rows without area, and geometries in pixel coordinates, class by class."""
    for index in range(1, len(classes)):
        labels, count = ndimage.label(found == index, structure=EIGHT)
        if not count:
            continue
        pixels = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        band = 1 if len(classes) == 2 else index + 1
        with open_map(directory / PROBABILITIES) as dataset:
            chances = np.where(found == NODATA, 0, dataset.read(band)) / 100
        numbers = np.arange(1, count + 1)
        means, maxima = ndimage.mean(chances, labels, numbers), ndimage.maximum(chances, labels, numbers)
        parts: dict[int, list[Any]] = {}
        kept = np.isin(labels, numbers[pixels >= min_pixels])
        for shape, number in rasterio.features.shapes(labels.astype(np.int32), mask=kept, connectivity=8):
            parts.setdefault(int(number), []).append(shapely.geometry.shape(shape))
        for number, shapes in sorted(parts.items()):
            row = {
                "class_index": index,
                "class": classes[index],
                "pixels": int(pixels[number - 1]),
                "mean_probability": float(means[number - 1]),
                "max_probability": float(maxima[number - 1]),
            }
            yield row, shapely.make_valid(shapely.union_all(shapes))


def _placed(geometry: Any, transform: Affine) -> Any:
    """A geometry in pixel coordinates on the map, always a MultiPolygon: one type for the whole layer."""
    polygons = [part for part in shapely.get_parts([geometry]) if part.geom_type == "Polygon"]
    a, b, c, d, e, f = transform[:6]
    return shapely.affinity.affine_transform(shapely.MultiPolygon(polygons), [a, b, d, e, c, f])


def _areas(geometries: Sequence[Any], crs: str | None) -> list[float | None]:
    """Areas in square metres; None where the system is unknown.

    Those of the map where its metres are true ones (UTM: to 0.1 %), so that ten 10 m pixels are 1000 m². Geodesic, on
    the system's ellipsoid, in degrees and where the map's metres are something else (web Mercator: eight times too
    large at 69° north).
    """
    if crs is None:
        return [None] * len(geometries)
    system = CRS.from_user_input(crs)
    placed = gpd.GeoSeries(geometries, crs=crs)
    if system.is_geographic:
        return list(_geodesic(placed, system))
    metres = system.axis_info[0].unit_conversion_factor
    mapped = [float(geometry.area) * metres**2 for geometry in geometries]
    true = _geodesic(placed.to_crs(system.geodetic_crs or WGS84), system)
    return list(true if abs(sum(mapped) / (sum(true) or 1) - 1) > DISTORTED else mapped)


def _geodesic(placed: gpd.GeoSeries, system: CRS) -> list[float]:
    geod = system.get_geod() or Geod(ellps="WGS84")
    return [sum(abs(geod.geometry_area_perimeter(orient(part))[0]) for part in shape.geoms) for shape in placed]
