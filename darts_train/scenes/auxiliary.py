"""Elevation and trends: rasters on a grid of their own, brought onto the pixels of a scene by window."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject

from darts_train.base.errors import UserError, listing
from darts_train.raster.grid import Grid
from darts_train.scenes.raster_file import RasterFile, open_dataset

DEM = ("dem",)
TRENDS = ("tc_brightness", "tc_greenness", "tc_wetness")
_SUFFIXES = (".vrt", ".tif", ".tiff")
_TOLERANCE = 0.01  # pixels of the source by which a position may be off; GDAL's own is 0.125, which shows in slopes


@dataclass(frozen=True)
class AuxiliaryRaster:
    """A raster whose first bands are `names`, read on the grid of another."""

    file: RasterFile
    names: tuple[str, ...]

    @classmethod
    def open(cls, path: Path, names: tuple[str, ...], option: str) -> "AuxiliaryRaster":
        """Open a raster, or the one in a directory (a VRT before all else). Raises UserError naming the option."""
        file = RasterFile.open(_choose(path, option))
        if len(file.indexes) < len(names):
            raise UserError(f"{option}: {file.path} has {len(file.indexes)} bands; {', '.join(names)} are needed.")
        if file.grid.crs is None or file.grid.transform is None:
            raise UserError(f"{option}: {file.path} has no georeference.")
        return cls(file, names)

    def read(self, names: Sequence[str], grid: Grid) -> np.ndarray:
        """Bands as float32 [b, h, w] on a grid, by cubic convolution; NaN where the raster says nothing.

        Raises UserError where the grid has no place on the earth or the file cannot be read.
        """
        if grid.crs is None or grid.transform is None:
            raise UserError(f"{self.file.path} cannot be laid under a scene without a coordinate reference system.")
        warped = np.full((len(names), grid.height, grid.width), np.nan, np.float32)
        with open_dataset(self.file.path) as dataset:
            reproject(
                rasterio.band(dataset, [self.file.indexes[self.names.index(name)] for name in names]),
                warped,
                src_nodata=self.file.nodata[0],
                dst_transform=Affine(*grid.transform),
                dst_crs=grid.crs,
                dst_nodata=np.nan,
                resampling=Resampling.cubic,
                tolerance=_TOLERANCE,
            )
        return warped


def _choose(path: Path, option: str) -> Path:
    if not path.is_dir():
        return path
    for suffix in _SUFFIXES:
        found = sorted(file for file in path.iterdir() if file.suffix.lower() == suffix)
        if len(found) == 1:
            return found[0]
        if found:
            raise UserError(f"{option}: {path} holds {listing(file.name for file in found)}; name one, or make a VRT.")
    raise UserError(f"{option}: no raster in {path} ({', '.join(_SUFFIXES)}).")
