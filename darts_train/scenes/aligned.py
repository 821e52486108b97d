"""A raster seen on the pixels of another grid: by nearest neighbours, window by window, never whole."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window as RasterioWindow

from darts_train.base.errors import UserError
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.georeference import lies_on_earth
from darts_train.scenes.raster_file import RasterFile, masks_of, open_dataset

_TOLERANCE = 0.001  # pixels, by which a place may be off: GDAL's own eighth of a pixel moves the edges of classes
_ANYWHERE = "EPSG:3857"  # stands for a system that nobody knows, where both grids are in it


class AlignedRaster(RasterFile):
    """A raster file whose `grid` is that of another; what the file does not cover has no data."""

    def _read_inside(self, bands: Sequence[int], window: Window, nodata: float | None) -> tuple[np.ndarray, np.ndarray]:
        where = RasterioWindow(window.x, window.y, window.width, window.height)
        numbers = [self.indexes[band] for band in bands]
        with open_dataset(self.path) as dataset, self._view(dataset) as view:
            values = view.read(numbers, window=where)
            value = self.nodata[bands[0]] if nodata is None else nodata
            return values, masks_of(view, numbers, where, values, value)

    def _view(self, dataset: Any) -> Any:
        crs = CRS.from_string(self.grid.crs or _ANYWHERE)
        return WarpedVRT(
            dataset,
            src_crs=dataset.crs or crs,
            crs=crs,
            transform=Affine(*(self.grid.transform or ())),
            width=self.grid.width,
            height=self.grid.height,
            resampling=Resampling.nearest,
            tolerance=_TOLERANCE,
            src_nodata=None,  # 0 may be a class as well: values are compared afterwards
            add_alpha=True,
        )


def align(file: RasterFile, image: RasterFile) -> AlignedRaster:
    """A label raster on the pixels of its image.

    Raises UserError where one of the two has no place that can be compared, or they do not meet.
    """
    for raster in (file, image):
        if raster.grid.transform is None:
            raise UserError(f"{file.path} cannot be aligned with {image.path}: {raster.path.name} has no georeference.")
    if image.grid.crs is None and file.grid.crs is not None:
        raise UserError(
            f"{file.path} cannot be aligned with {image.path}: the image has no coordinate reference system."
        )
    meet = _meet(file.grid, image.grid)
    if meet is None:
        raise UserError(
            f"{file.path} cannot be aligned with {image.path}: no way leads between their coordinate systems."
        )
    if not meet:
        raise UserError(f"{file.path} does not overlap {image.path}: no pixel would have a label.")
    fields = {field.name: getattr(file, field.name) for field in dataclasses.fields(file)}
    return AlignedRaster(**{**fields, "grid": image.grid})


def _meet(label: Grid, image: Grid) -> bool | None:
    """Whether the rectangles around two grids share an area, in the system of the image; None: no way leads there."""
    left, bottom, right, top = _bounds(label)
    if label.crs is not None and image.crs is not None and label.crs != image.crs:
        if not (lies_on_earth(label.crs) and lies_on_earth(image.crs)):
            return None
        left, bottom, right, top = transform_bounds(label.crs, image.crs, left, bottom, right, top)
    west, south, east, north = _bounds(image)
    return min(right, east) > max(left, west) and min(top, north) > max(bottom, south)


def _bounds(grid: Grid) -> tuple[float, float, float, float]:
    corners = [grid.position(x, y) for x in (0, grid.width) for y in (0, grid.height)]
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)
