"""Elevation and trends: rasters on a grid of their own, brought onto the pixels of a scene by window.

dem.tif, dem.vrt        a raster                          auxiliary_file.py
a folder of GeoTIFFs    tiles on one lattice              auxiliary_tiles.py
a zarr directory        a cube                            cube.py
https://…, /vsicurl/…   a COG, read by window             auxiliary_file.py, auxiliary_remote.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.raster.grid import Grid
from darts_train.scenes.auxiliary_file import GdalRaster
from darts_train.scenes.auxiliary_remote import is_remote
from darts_train.scenes.auxiliary_tiles import TileMosaic, tiff_files
from darts_train.scenes.auxiliary_warp import PixelSource, covered_share, touched, warp
from darts_train.scenes.cube import ZarrCube, is_cube, is_icechunk

DEM = ("dem",)
TRENDS = ("tc_brightness", "tc_greenness", "tc_wetness")
_ALSO = {"tc_brightness": "TCB_slope", "tc_greenness": "TCG_slope", "tc_wetness": "TCW_slope"}  # of Earth Engine
_HEIGHTS = (-1000.0, 10_000.0)  # m; beyond are fill values (-9999, 32767, 3.4e38) that a file does not declare
_WHOLE = 0.9999  # share of a scene from which on nothing is missing: outlines are polygons
_log = logger("scenes")


@dataclass(frozen=True)
class AuxiliaryRaster:
    """Bands `names` of a source, read on the grid of another; `bands` are their positions in it."""

    source: PixelSource
    names: tuple[str, ...]
    bands: tuple[int, ...]

    @classmethod
    def open(cls, place: Path | str, names: tuple[str, ...], option: str) -> "AuxiliaryRaster":
        """Open a raster, a folder of tiles, a cube or an address.

        Raises UserError naming the option where there is none, or it has not the bands.
        """
        source = open_source(place, names, option)
        return cls(source, names, _bands(source, names, option))

    @property
    def address(self) -> str:
        """Path or address."""
        return self.source.address

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """All local files that decide its pixels; none of what lies elsewhere."""
        return self.source.files(self.source.grid.extent)

    def files_of(self, grid: Grid, margin: int) -> tuple[Path, ...]:
        """The files that decide its pixels on a grid, looked at `margin` pixels beyond."""
        if grid.crs is None or grid.transform is None:
            return self.files
        grown = grid.window(grid.extent.grown(margin))
        return tuple(dict.fromkeys(f for window in touched(self.source.grid, grown) for f in self.source.files(window)))

    def covers(self, grid: Grid) -> float:
        """Share (0 to 1) of a grid's area within the outlines of the data; gaps within them are not seen."""
        if grid.crs is None or grid.transform is None:
            return 0.0
        return covered_share(self.source, grid)

    def read(self, names: Sequence[str], grid: Grid) -> np.ndarray:
        """Bands as float32 [b, h, w] on a grid, by cubic convolution; NaN where the raster says nothing.

        Elevation that no land has (below -1000 m, above 10000 m) is no data.

        Raises UserError where the grid has no place on the earth or the source cannot be read.
        """
        if grid.crs is None or grid.transform is None:
            raise UserError(f"{self.address} cannot be laid under a scene without a coordinate reference system.")
        limits = _HEIGHTS if self.names == DEM else (-np.inf, np.inf)
        return warp(self.source, [self.bands[self.names.index(name)] for name in names], grid, limits)


def require_cover(scene_id: str, grid: Grid, rasters: Sequence[AuxiliaryRaster]) -> None:
    """Warn of a raster that covers less than all of a scene, with the share. UserError where it covers nothing."""
    for raster in rasters:
        share = raster.covers(grid)
        if share <= 0:
            raise UserError(f"{raster.address} covers none of it")
        if share < _WHOLE:
            percent = min(99.0, 100 * share)
            _log.warning("%s: %s covers %.2g %% of it", scene_id, raster.address, percent)


def open_source(place: Path | str, names: tuple[str, ...], option: str) -> PixelSource:
    """What lies at a path or address; `names` are the bands wanted of it. Raises UserError naming the option."""
    if is_remote(str(place)):
        return GdalRaster.open(str(place))
    path = Path(place).expanduser()
    if not path.exists():
        raise UserError(f"{option}: {path} does not exist.")
    if not path.is_dir():
        return GdalRaster.open(str(path))
    if is_icechunk(path):
        raise UserError(f"{option}: {path} is an icechunk repository; export it with xarray's to_zarr first.")
    if is_cube(path):
        return ZarrCube.open(path, option)
    vrts = sorted(file for file in path.iterdir() if file.suffix.lower() == ".vrt" and not file.name.startswith("."))
    if len(vrts) > 1:
        raise UserError(f"{option}: {path} holds {listing(file.name for file in vrts)}; name one.")
    files = vrts or _of_kind(tiff_files(path), names)
    if not files:
        raise UserError(f"{option}: no raster in {path} (.vrt, .tif, .tiff, or a zarr cube).")
    if len(files) == 1:
        return GdalRaster.open(str(files[0]))
    return TileMosaic.open(str(path), [str(file) for file in files])


def _of_kind(files: list[Path], names: tuple[str, ...]) -> list[Path]:
    """Mosaics come with counts, masks and pictures beside `…_dem.tif`: where there are such names, only those."""
    chosen = [file for file in files if file.stem.lower().endswith("_dem")] if names == DEM else []
    return chosen or files


def _bands(source: PixelSource, names: tuple[str, ...], option: str) -> tuple[int, ...]:
    """Positions of the bands: by name where all are there, else the first. Of a cube's variables, which always have
    names, another one is taken only where it is the only one and one is wanted.
    """
    labels = list(source.labels)
    found = [next((labels.index(n) for n in (name, _ALSO.get(name)) if n in labels), None) for name in names]
    known = tuple(i for i in found if i is not None)
    if len(known) == len(names):
        return known
    if isinstance(source, ZarrCube) and len(names) == len(labels) == 1:
        return (0,)
    if isinstance(source, ZarrCube):
        raise UserError(f"{option}: {source.address} has {listing(labels, 12)}; {', '.join(names)} are needed.")
    if len(labels) < len(names):
        raise UserError(f"{option}: {source.address} has {len(labels)} bands; {', '.join(names)} are needed.")
    return tuple(range(len(names)))
