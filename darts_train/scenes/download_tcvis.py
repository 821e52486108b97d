"""Trends for an area as a local folder of tiles, from Google Earth Engine: the command download-tcvis.

The request that is made for a tile is put together by pure functions, so that it can be looked at without an account.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.base.log import logger
from darts_train.base.optional import require
from darts_train.options.downloading import Area, Target, Tcvis
from darts_train.raster.grid import Grid
from darts_train.scenes.auxiliary import TRENDS
from darts_train.scenes.download_area import area_of, on_map
from darts_train.scenes.download_tiles import Content, DownloadSummary, Lattice, Strips, TileFolder

COLLECTION = "users/ingmarnitze/TCTrend_SR_2000-2019_TCVIS"
BANDS = ("TCB_slope", "TCG_slope", "TCW_slope")  # that become TRENDS
CRS, SCALE = "EPSG:3413", 30.0  # metres of a pixel, as of Landsat
LIMIT = 48_000_000  # bytes of one request, uncompressed (computePixels of the Earth Engine API)
_TRIES, _WAIT = 6, 1.0  # waits of 1, 2, 4 … seconds
_PASSING = ("429", "500", "502", "503", "504", "too many", "quota", "timed out", "timeout", "unavailable", "internal")
_log = logger("download")


def download_tcvis(area: Area, target: Target, tcvis: Tcvis) -> DownloadSummary:
    """Fill a folder with the tiles of an area, from which --tcvis-dir reads.

    Tiles that are there are passed over, so a download that was stopped goes on. A dry run asks Earth Engine nothing.

    Raises:
        UserError: the area is not clear, the folder holds something else, earthengine-api is not installed, nobody is
            signed in, or Earth Engine refuses. Tiles written before stay.
    """
    require_writable(target.target_dir, "--target-dir")
    polygons = area_of(area)
    if len(BANDS) * target.tile_size**2 > LIMIT:
        raise UserError(f"--tile-size: {target.tile_size} is more than Earth Engine gives at once; 4000 is not.")
    lattice = Lattice(CRS, (SCALE, SCALE), (0.0, 0.0), target.tile_size)
    folder = TileFolder(target.target_dir, lattice, Content("tcvis", TRENDS, "uint8", None, COLLECTION))
    tiles = lattice.tiles(on_map(polygons, CRS, area.area_margin))
    if not tiles:
        raise UserError(f"The area cannot be drawn in {CRS}.")
    if target.dry_run:
        return folder.dry_run(tiles, "--tcvis-dir")
    ee = connect(tcvis.ee_project)
    image = trend_image(ee)

    def read(grid: Grid) -> Strips:
        yield decode(patiently(lambda: ee.data.computePixels(pixel_request(image, grid)), ee.EEException), grid)

    return folder.fill(tiles, read, "--tcvis-dir")


def connect(project: str | None) -> Any:
    """Earth Engine's module, signed in. UserError where it is not installed or nobody is signed in."""
    ee = require("ee", "gee", "Earth Engine")
    try:
        ee.Initialize(project=project)
    except Exception as error:  # of Earth Engine and of Google's sign-in, which is another package
        reason = (str(error) or type(error).__name__).splitlines()[0][:120].rstrip(".")
        raise UserError(
            f"Not signed in to Earth Engine ({reason}); run: earthengine authenticate, and give --ee-project."
        ) from None
    return ee


def trend_image(ee: Any) -> Any:
    """The collection's mosaic as one image: its three slopes under our names, uint8, 0 where there is none."""
    return ee.ImageCollection(COLLECTION).mosaic().select(list(BANDS), list(TRENDS)).unmask(0).toUint8()


def pixel_request(image: Any, grid: Grid) -> dict[str, Any]:
    """Parameters of ee.data.computePixels for the pixels of a grid, whose first row is in the north.

    Source: Earth Engine API, method projects.image.computePixels (ComputePixelsRequest, PixelGrid, AffineTransform).
    """
    if grid.transform is None:
        raise ValueError("a grid without a place")
    a, b, x, d, e, y = grid.transform
    place = {"scaleX": a, "shearX": b, "translateX": x, "shearY": d, "scaleY": e, "translateY": y}
    size = {"width": grid.width, "height": grid.height}
    return {
        "expression": image,
        "fileFormat": "GEO_TIFF",
        "bandIds": list(TRENDS),
        "grid": {"dimensions": size, "affineTransform": place, "crsCode": grid.crs},
    }


def decode(content: bytes, grid: Grid) -> np.ndarray:
    """Pixels uint8 [3, h, w] of an answer. UserError where it is no GeoTIFF of the pixels that were asked for."""
    try:
        with rasterio.MemoryFile(content) as memory, memory.open() as file:
            values: np.ndarray = file.read()
    except (RasterioError, ValueError):
        raise UserError("Earth Engine's answer is no GeoTIFF; try again later.") from None
    if values.shape != (len(TRENDS), grid.height, grid.width) or values.dtype != np.uint8:
        raise UserError(f"Earth Engine's answer has {values.shape} pixels of {values.dtype}, not what was asked for.")
    return values


def patiently(call: Callable[[], bytes], error_type: type[Exception], wait: float = _WAIT) -> bytes:
    """What a call gives, tried again after growing waits while Earth Engine is busy. UserError where it refuses."""
    for pause in _pauses(wait):
        try:
            return call()
        except error_type as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            if pause is None or not any(mark in text.lower() for mark in _PASSING):
                raise UserError(f"Earth Engine: {text[:200].rstrip('.')}. What was fetched stays.") from None
            _log.info("Earth Engine: %s; again in %.3g s", text[:80], pause)
            time.sleep(pause)
    raise AssertionError("the last pause is None")


def _pauses(wait: float) -> Iterator[float | None]:
    yield from (wait * 2**i for i in range(_TRIES - 1))
    yield None
