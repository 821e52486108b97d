"""Unpacked Sentinel-2 level-2A products: <product>.SAFE/ as Copernicus delivers them.

MTD_MSIL2A.xml                              scale and offset of the counts (the offset came with baseline 04.00)
GRANULE/*/MTD_TL.xml                        the sun's place
GRANULE/*/IMG_DATA/R10m/*_B02_10m.jp2       blue B02, green B03, red B04, nir B08
GRANULE/*/IMG_DATA/R20m, R60m               the other bands, laid on the 10 m pixels by nearest neighbour
GRANULE/*/IMG_DATA/R20m/*_SCL_20m.jp2       scene classification
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary import AuxiliaryRaster
from darts_train.scenes.raster_file import RasterFile
from darts_train.scenes.satellite import SatelliteScene
from darts_train.scenes.scene import HIGH_QUALITY, INVALID
from darts_train.scenes.sentinel2 import SclMask, parse_day

_FILES = {  # band: (number in the order of the product's offsets, file name part, metres)
    "coastal": (0, "B01", 60), "blue": (1, "B02", 10), "green": (2, "B03", 10), "red": (3, "B04", 10),
    "rededge071": (4, "B05", 20), "rededge075": (5, "B06", 20), "rededge078": (6, "B07", 20), "nir": (7, "B08", 10),
    "nir08": (8, "B8A", 20), "nir09": (9, "B09", 60), "swir16": (11, "B11", 20), "swir22": (12, "B12", 20),
}  # fmt: skip
_MAIN = ("blue", "green", "red", "nir")
SAFE = ".SAFE"
_NODATA = 0
_log = logger("scenes")


@dataclass(frozen=True)
class SafeImage:
    """The bands of one product on its 10 m pixels; see `satellite.Image`.

    `bands` maps a name to its file and the value of count 0; all counts are worth `scale`.
    """

    scene_id: str
    source: str
    grid: Grid
    bands: dict[str, tuple[RasterFile, float]]
    scale: float

    @property
    def names(self) -> tuple[str, ...]:
        """Bands, as the catalogue names them."""
        return tuple(self.bands)

    @property
    def files(self) -> tuple[RasterFile, ...]:
        """The files of all bands."""
        return tuple(file for file, _ in self.bands.values())

    def read(self, names: Sequence[str], window: Window) -> np.ndarray:
        """See `Scene.read`."""
        values = np.full((len(names), window.height, window.width), np.nan, np.float32)
        for i, name in enumerate(names):
            file, offset = self.bands[name]
            counts = _on_pixels(file, self.grid, window)
            here = counts != _NODATA
            values[i][here] = counts[here].astype(np.float64) * self.scale + offset
        return values

    def quality(self, window: Window) -> np.ndarray:
        """See `Image.quality`: data in any of the four bands of 10 m."""
        present = np.zeros((window.height, window.width), bool)
        for name in _MAIN:
            present |= _on_pixels(self.bands[name][0], self.grid, window) != _NODATA
        return np.where(present, HIGH_QUALITY, INVALID).astype(np.uint8)


def _on_pixels(file: RasterFile, grid: Grid, window: Window) -> np.ndarray:
    """Counts [h, w] of a window of the 10 m grid; coarser pixels are repeated, as they lie on whole fine ones."""
    factor = grid.width // file.grid.width
    if factor == 1:
        return np.asarray(file.read([0], window, _NODATA)[0][0])
    x, y = window.x // factor, window.y // factor
    right, bottom = -(-window.right // factor), -(-window.bottom // factor)
    coarse = file.read([0], Window(x, y, right - x, bottom - y), _NODATA)[0][0]
    fine = coarse.repeat(factor, axis=0).repeat(factor, axis=1)
    return np.asarray(fine[window.slices(Window(x * factor, y * factor, fine.shape[1], fine.shape[0]))])


def find_products(root: Path) -> list[Path]:
    """The SAFE folders directly below `root`, or `root` itself, by name."""
    if root.suffix == SAFE:
        return [root]
    return sorted(path for path in root.iterdir() if path.is_dir() and path.suffix == SAFE)


def open_product(safe: Path, auxiliaries: Sequence[AuxiliaryRaster] = ()) -> SatelliteScene:
    """Open an unpacked level-2A product. Raises UserError where a file is missing, unreadable or another level's."""
    metadata = _metadata(safe)
    scale, offsets = _quantification(metadata, safe)
    granule = _granule(safe)
    bands = {}
    for name, (number, part, metres) in _FILES.items():
        path = _find(granule, f"IMG_DATA/R{metres}m/*_{part}_{metres}m.jp2")
        if path is None and name in _MAIN:
            raise UserError(f"{granule}: no IMG_DATA/R{metres}m/*_{part}_{metres}m.jp2.")
        if path is not None:
            bands[name] = (RasterFile.open(path), offsets.get(number, 0.0) * scale)
    grid = bands["blue"][0].grid
    for name, (file, _) in bands.items():
        if file.grid.width * _FILES[name][2] != grid.width * _FILES["blue"][2]:
            raise UserError(f"{file.path}: {file.grid.width} pixels wide, which does not fit {grid.width} of 10 m.")
    classes = _find(granule, "IMG_DATA/R20m/*_SCL_20m.jp2")
    if classes is None:
        _log.warning("%s: no *_SCL_20m.jp2; every pixel with data counts as good", safe)
    mask = None if classes is None else SclMask(RasterFile.open(classes))
    image = SafeImage(safe.stem, str(safe), grid, bands, scale)
    day = parse_day(safe.stem.replace("T", "_"))
    return SatelliteScene(image, mask, tuple(auxiliaries), date=day, sun=_sun(granule))


def _metadata(safe: Path) -> Any:
    path = safe / "MTD_MSIL2A.xml"
    if not path.is_file():
        level_1 = (safe / "MTD_MSIL1C.xml").is_file()
        why = "it is a level-1C product, without surface reflectance" if level_1 else "no MTD_MSIL2A.xml"
        raise UserError(f"{safe}: {why}.")
    return _parse(path)


def _parse(path: Path) -> Any:
    try:
        return ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise UserError(f"{path}: cannot be read as XML ({error}).") from None


def _quantification(metadata: Any, safe: Path) -> tuple[float, dict[int, float]]:
    """Value of one count, and the counts to add by number of the band (none before processing baseline 04.00)."""
    try:
        value = float(next(metadata.iter("BOA_QUANTIFICATION_VALUE")).text)
        offsets = {int(item.attrib["band_id"]): float(item.text) for item in metadata.iter("BOA_ADD_OFFSET")}
    except (StopIteration, TypeError, ValueError, KeyError):
        raise UserError(f"{safe}/MTD_MSIL2A.xml does not say what a count is worth.") from None
    if value <= 0:
        raise UserError(f"{safe}/MTD_MSIL2A.xml: a quantification value of {value:g}.")
    return 1.0 / value, offsets


def _granule(safe: Path) -> Path:
    found = sorted(path for path in (safe / "GRANULE").glob("*") if path.is_dir())
    if len(found) != 1:
        raise UserError(f"{safe}: {len(found)} folders in GRANULE; a product has one.")
    return found[0]


def _find(granule: Path, pattern: str) -> Path | None:
    return next(iter(sorted(granule.glob(pattern))), None)


def _sun(granule: Path) -> tuple[float, float] | None:
    """Azimuth and elevation, degrees; the file has the zenith angle, which is 90 minus the elevation."""
    path = granule / "MTD_TL.xml"
    if not path.is_file():
        return None
    for angles in _parse(path).iter("Mean_Sun_Angle"):
        try:
            zenith, azimuth = (float(angles.find(name).text) for name in ("ZENITH_ANGLE", "AZIMUTH_ANGLE"))
        except (AttributeError, TypeError, ValueError):
            return None
        return azimuth, 90.0 - zenith
    return None
