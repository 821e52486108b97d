"""The area of a download: a box, polygons of a file, or the outlines of scenes."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from rasterio.crs import CRS

from darts_train.base.errors import UserError
from darts_train.base.files import require_directory, require_file
from darts_train.base.log import logger
from darts_train.options.downloading import Area
from darts_train.scenes.auxiliary_tiles import tiff_files
from darts_train.scenes.georeference import WGS84, reproject_geometries, scene_outline
from darts_train.scenes.planet import find_planet_scenes
from darts_train.scenes.polygons import read_polygons
from darts_train.scenes.raster_file import RasterFile

_METRES = 111_320.0  # in a degree of latitude
_EDGE = 0.05  # degrees: longer edges are bent in another projection
_log = logger("download")


def area_of(area: Area) -> np.ndarray:
    """Polygons [n] in EPSG:4326. Raises UserError where none was given, or what was given holds none."""
    if area.bounds is not None:
        return np.array(list(_boxes(area.bounds)), object)
    if area.area is not None:
        polygons = read_polygons(require_file(area.area, "--area"))
        found = polygons.geometries
        if polygons.crs is not None:
            found = reproject_geometries(found, polygons.crs, WGS84)
    elif area.data_dir is not None:
        found = _outlines(require_directory(area.data_dir, "--data-dir"))
    else:
        raise UserError("Give --bounds W,S,E,N, or --area FILE, or --data-dir with scenes.")
    if not len(found):
        raise UserError(f"{area.area or area.data_dir} holds no polygon and no scene; there is nothing to fetch.")
    return np.asarray(shapely.get_parts(found))


def on_map(polygons: np.ndarray, crs: str, margin: float) -> np.ndarray:
    """Polygons [n] of EPSG:4326 in another coordinate system, grown by `margin` metres, those that touch united."""
    system = CRS.from_user_input(crs)
    unit = _METRES if system.is_geographic else system.linear_units_factor[1]
    moved = reproject_geometries(shapely.segmentize(polygons, _EDGE), WGS84, crs)
    finite = moved[np.isfinite(shapely.bounds(moved)).all(axis=1)]
    return np.asarray(shapely.get_parts(shapely.union_all(shapely.buffer(finite, margin / unit))))


def search_boxes(polygons: np.ndarray, margin: float) -> list[tuple[float, float, float, float]]:
    """Few boxes (west, south, east, north, degrees) that hold polygons with a margin in metres, for a catalogue."""
    grown = []
    for west, south, east, north in shapely.bounds(polygons):
        high = min(89.0, max(abs(south), abs(north)) + margin / _METRES)
        across = margin / _METRES / math.cos(math.radians(high))
        down = margin / _METRES
        grown.append(
            shapely.box(
                max(-180.0, west - across), max(-90.0, south - down), min(180.0, east + across), min(90.0, north + down)
            )
        )
    united = shapely.get_parts(shapely.union_all(grown))
    return [(float(w), float(s), float(e), float(n)) for w, s, e, n in shapely.bounds(united)]


def _boxes(bounds: Sequence[float]) -> Iterator[Any]:
    text = ",".join(f"{number:g}" for number in bounds)
    if len(bounds) != 4:
        raise UserError(f"--bounds: {text} is not west,south,east,north.")
    west, south, east, north = bounds
    if not (-90 <= south < north <= 90 and -180 <= west <= 180 and -180 <= east <= 180 and west != east):
        raise UserError(f"--bounds: {text} is no box of longitudes and latitudes (west,south,east,north).")
    if west < east:
        yield shapely.box(west, south, east, north)
    else:
        yield from (shapely.box(west, south, 180.0, north), shapely.box(-180.0, south, east, north))


def _outlines(root: Path) -> np.ndarray:
    """Outlines of the images in PLANET directories; where there are none of these, of all GeoTIFFs."""
    images = [next(iter(sorted(place.glob("*_SR*.tif"))), None) for place in find_planet_scenes(root)]
    files = [image for image in images if image is not None] or tiff_files(root)
    outlines = []
    for file in files:
        try:
            outlines.append(scene_outline(RasterFile.open(file).grid))
        except UserError as error:
            _log.warning("left out: %s", error)
    return np.array([outline for outline in outlines if outline is not None], object)
