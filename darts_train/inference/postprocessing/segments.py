"""Polygons of a mended map. Whatever its probabilities are, the table has the columns of predict's."""

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from darts_train.inference.map_files import MapFile
from darts_train.inference.postprocessing.files import create_raster
from darts_train.inference.writing.polygons import write_segments
from darts_train.inference.writing.rasters import CLASSES, NODATA, PROBABILITIES
from darts_train.raster.patches import Window
from darts_train.raster.strips import strips

SEGMENTS, LAYER = "segments.gpkg", "segments"
_ROWS = 256
CHANCES = ("mean_probability", "max_probability")


def write_objects(directory: Path, one: MapFile) -> int:
    """Write segments.gpkg beside the classes.tif of a directory; returns the number of polygons.

    `one` is the map that it was made of. Without probabilities those columns are null.
    """
    if one.bands in (1, len(one.names)) and not one.unit and not (one.bands == len(one.names) == 2):
        return write_segments(directory, one.grid, one.names, 1)
    work = directory / "vector"
    work.mkdir()
    (work / CLASSES).symlink_to(Path("..") / CLASSES)
    _write_percent(work / PROBABILITIES, one)
    count = write_segments(work, one.grid, one.names, 1)
    if not one.bands:
        _without_chances(work / SEGMENTS)
    os.replace(work / SEGMENTS, directory / SEGMENTS)
    shutil.rmtree(work)
    return count


def _write_percent(path: Path, one: MapFile) -> None:
    """Probabilities as polygons ask for them: percent, of the positive one of two classes, else of each."""
    grid, wanted = one.grid, 1 if len(one.names) == 2 else len(one.names)
    with create_raster(path, grid, [f"probability {i}" for i in range(wanted)]) as dataset:
        for strip in strips(grid.width, grid.height, _ROWS):
            inner = strip.inner
            where = RasterioWindow(0, inner.y, inner.width, inner.height)
            dataset.write(np.stack(list(_percent(one, strip.inner, wanted))), window=where)


def _percent(one: MapFile, window: Window, wanted: int) -> Iterator[NDArray[np.uint8]]:
    if not one.bands:
        shape = (window.height, window.width)
        yield from (np.full(shape, 100, np.uint8) for _ in range(wanted))
        return
    chances, valid = one.chances(window)
    for band in chances[-wanted:]:
        whole = np.rint(np.clip(np.nan_to_num(band), 0, 1) * 100).astype(np.uint8)
        yield np.where(valid, whole, np.uint8(NODATA))


def _without_chances(path: Path) -> None:
    """Empty the columns of probabilities of a layer."""
    frame = gpd.read_file(path)
    for column in CHANCES:
        frame[column] = np.full(len(frame), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a layer may have no CRS
        frame.to_file(path, driver="GPKG", layer=LAYER, engine="pyogrio", geometry_type="MultiPolygon")
