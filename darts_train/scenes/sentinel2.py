"""Sentinel-2 scenes in folders: surface reflectance, scene classification, and often labels beside them.

<root>/<folder>/*_SR*.tif     blue, green, red, nir, or as its descriptions say; counts of 1e-4, or as the file says
<root>/<folder>/*_SCL*.tif    scene classification, on a grid of its own; without it every pixel with data counts
<root>/<folder>/<id>.shp      labels (.gpkg, .geojson, … too); id: the first three parts of the image's name
<root>/<product>.SAFE/        an unpacked level-2A product, see sentinel2_safe.py

What a footprint was matched with is kept in the same form, so one reader serves all.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.warp import reproject

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.raster.catalogue import LIGHT
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary import AuxiliaryRaster
from darts_train.scenes.polygons import VECTOR_SUFFIXES
from darts_train.scenes.raster_file import RasterFile, open_dataset
from darts_train.scenes.raster_scene import RasterScene
from darts_train.scenes.satellite import SatelliteScene, stated_or
from darts_train.scenes.scene import HIGH_QUALITY, INVALID, LOW_QUALITY

REFLECTANCE_SCALE = 1e-4  # of one count
BANDS = ("blue", "green", "red", "nir")
ALL_BANDS = (
    "coastal", "blue", "green", "red", "rededge071", "rededge075", "rededge078", "nir", "nir08", "nir09", "swir16",
    "swir22",
)  # fmt: skip
_INVALID_CLASSES = (0, 1)  # no data, saturated
_LOW_CLASSES = (3, 8, 9, 11)  # cloud shadow, cloud of medium and high probability, snow
_DAY = re.compile(r"(?<!\d)(\d{4})(\d{2})(\d{2})(?!\d)")
_log = logger("scenes")


@dataclass(frozen=True)
class SclMask:
    """Scene classification of a level-2A product, brought onto the image's pixels; see `satellite.Mask`."""

    file: RasterFile

    def quality(self, grid: Grid, window: Window) -> np.ndarray:
        """See `Mask.quality`: the nearest class; 0 where the classification says nothing."""
        place = grid.window(window)
        if place.transform is None or grid.crs is None:  # no place: pixel by pixel
            return scl_quality(self.file.read([0], window)[0][0])
        classes = np.zeros((window.height, window.width), np.uint8)
        with open_dataset(self.file.path) as dataset:
            reproject(
                rasterio.band(dataset, self.file.indexes[0]),
                classes,
                dst_transform=Affine(*place.transform),
                dst_crs=grid.crs,
                src_nodata=0,
                dst_nodata=0,
                resampling=Resampling.nearest,
            )
        return scl_quality(classes)


def scl_quality(classes: np.ndarray) -> np.ndarray:
    """Quality uint8 of scene classes: 0 of no data and saturated, 1 of clouds, their shadows and snow, 2 of the rest.

    Water, cast shadow and thin cirrus are of high quality, as the operational models were trained. Source: classes of
    Sen2Cor, Level-2A Algorithm Theoretical Basis Document.
    """
    quality = np.full(classes.shape, HIGH_QUALITY, np.uint8)
    quality[np.isin(classes, _LOW_CLASSES)] = LOW_QUALITY
    quality[np.isin(classes, _INVALID_CLASSES)] = INVALID
    return quality


def find_folders(root: Path) -> list[Path]:
    """The folders directly below `root` that are no SAFE products, by name; hidden ones are passed over."""
    return sorted(
        path for path in root.iterdir() if path.is_dir() and path.suffix != ".SAFE" and not path.name.startswith(".")
    )


def images_of(folder: Path) -> list[Path]:
    """The images *_SR*.tif of a folder, by name; the first one counts."""
    return sorted(folder.glob("*_SR*.tif"))


def tile_id_of(image: Path) -> str:
    """The first three parts of an image's name."""
    return "_".join(image.stem.split("_")[:3])


def label_file_of(folder: Path) -> Path | None:
    """Labels beside an image: those named by its tile, else the only vector file; None where there is none.

    Raises UserError where there are several and none has the tile's name.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in VECTOR_SUFFIXES)
    images = images_of(folder)
    named = [path for path in files if images and path.stem == tile_id_of(images[0])]
    if len(named or files) > 1:
        raise UserError(f"{folder}: labels are in {listing(path.name for path in named or files)}; keep one.")
    return next(iter(named or files), None)


def parse_day(name: str) -> str | None:
    """The first date of a name, ISO 8601; None where there is none."""
    for match in _DAY.finditer(name):
        try:
            return date(*(int(part) for part in match.groups())).isoformat()
        except ValueError:
            continue
    return None


def open_folder(folder: Path, auxiliaries: Sequence[AuxiliaryRaster] = ()) -> SatelliteScene:
    """Open the image in a folder.

    Args:
        folder: holds *_SR*.tif and perhaps *_SCL*.tif; a *.json of a STAC item gives the sun's place and the date.
        auxiliaries: elevation, trends.

    Raises:
        UserError: no image, a file that cannot be read, bands whose meaning nobody knows.
    """
    images = images_of(folder)
    if not images:
        raise UserError(f"{folder}: no *_SR*.tif.")
    path = images[0]
    file = RasterFile.open(path)
    names = _names(file)
    nodata = 0.0 if file.nodata[0] is None else None
    image = RasterScene.open(
        path, names, *stated_or(file, REFLECTANCE_SCALE), nodata, f"{folder.name}_{tile_id_of(path)}"
    )
    properties = _item_properties(folder)
    day = parse_day(path.name) or str(properties.get("datetime") or "")[:10] or None
    return SatelliteScene(image, _mask(folder), tuple(auxiliaries), date=day, sun=_sun(properties))


def _names(file: RasterFile) -> tuple[str, ...]:
    described = tuple((text or "").strip().lower() for text in file.descriptions)
    if all(name in LIGHT for name in described) and len(set(described)) == len(described):
        return described
    if len(file.indexes) == len(BANDS):
        return BANDS
    raise UserError(
        f"{file.path}: {len(file.indexes)} bands without names; four are taken for {', '.join(BANDS)}, "
        "others need descriptions such as swir16."
    )


def _mask(folder: Path) -> SclMask | None:
    found = sorted(folder.glob("*_SCL*.tif"))
    if not found:
        _log.warning("%s: no *_SCL*.tif; every pixel with data counts as good", folder)
        return None
    return SclMask(RasterFile.open(found[0]))


def _item_properties(folder: Path) -> dict[str, Any]:
    """`properties` of the STAC item beside an image; empty where there is none that can be read."""
    for path in sorted(folder.glob("*.json"))[:1]:
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            _log.warning("%s: not readable (%s); the sun's place is not known", path, error)
            return {}
        properties = content.get("properties") if isinstance(content, dict) else None
        return properties if isinstance(properties, dict) else {}
    return {}


def _sun(properties: dict[str, Any]) -> tuple[float, float] | None:
    pair = [properties.get("view:sun_azimuth"), properties.get("view:sun_elevation")]
    numbers = [float(item) for item in pair if isinstance(item, int | float) and math.isfinite(item)]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None
