"""Rasters that are written strip by strip, from the first row to the last, and read the same way."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window as RasterioWindow

from darts_train.inference.writing.rasters import NODATA, open_map
from darts_train.raster.grid import Grid
from darts_train.raster.strips import strips

BLOCK = 256  # pixels; smaller rasters are written in strips


@contextmanager
def create_raster(
    path: Path, grid: Grid, descriptions: Sequence[str], dtype: str = "uint8", tags: Mapping[str, str] | None = None
) -> Iterator[Any]:
    """An open GeoTIFF on a grid, a band per description; no data is NODATA, in floats NaN."""
    blocks = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK} if min(grid.width, grid.height) >= BLOCK else {}
    place = {"transform": Affine(*grid.transform)} if grid.transform else {}
    nodata = float("nan") if dtype.startswith("float") else NODATA
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", width=grid.width, height=grid.height, count=len(descriptions), dtype=dtype,
            nodata=nodata, crs=grid.crs, compress="deflate", BIGTIFF="IF_SAFER", **place, **blocks,
        ) as dataset:  # fmt: skip
            dataset.update_tags(**(tags or {}))
            for i, text in enumerate(descriptions):
                dataset.set_band_description(i + 1, text)
            yield dataset


def write_strips(path: Path, grid: Grid, found: Iterator[NDArray[np.uint8]], description: str, **tags: str) -> None:
    """Write strips uint8 [h, w], which follow each other, as a raster of one band."""
    with create_raster(path, grid, [description], tags=tags) as dataset:
        y = 0
        for strip in found:
            dataset.write(strip, 1, window=RasterioWindow(0, y, grid.width, len(strip)))
            y += len(strip)


def read_strips(path: Path, rows: int) -> Iterator[NDArray[np.uint8]]:
    """The first band of a raster by strips of `rows` rows, uint8 [h, w]."""
    with open_map(path) as dataset:
        for strip in strips(dataset.width, dataset.height, rows):
            inner = strip.inner
            yield dataset.read(1, window=RasterioWindow(0, inner.y, inner.width, inner.height))
