"""PLANET scenes: surface reflectance with its usable data mask, as ordered from PSScene and PSOrthoTile.

data_dir/iteration001/<site>/<image id>/…       any depth is searched; the id is the directory's name
data_dir/<iteration>/<image id>/*_SR.tif, *_udm2.tif, *_metadata.json     (or *_SR_clip.tif, *_udm2_clip.tif)
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError
from darts_train.raster.grid import Grid, grid_differences
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary import AuxiliaryRaster
from darts_train.scenes.planet_metadata import sun_angles
from darts_train.scenes.raster_file import RasterFile
from darts_train.scenes.raster_scene import RasterScene
from darts_train.scenes.satellite import SatelliteScene, stated_or
from darts_train.scenes.scene import HIGH_QUALITY, INVALID, LOW_QUALITY, NO_REGION

REFLECTANCE_SCALE = 1e-4  # of one count
BANDS_OF_FOUR = ("blue", "green", "red", "nir")
BANDS_OF_EIGHT = ("coastal", "blue", "green_i", "green", "yellow", "red", "rededge", "nir")
_SCENE = re.compile(r"(\d{4})(\d{2})(\d{2})_\d{6}(_\d+)?_[0-9A-Za-z]{4}")
_ORTHOTILE = re.compile(r"\d+_\d+_(\d{4})-(\d{2})-(\d{2})_[0-9A-Za-z]{4}")
_IMAGE_ENDINGS = ("_SR.tif", "_SR_clip.tif")
_UDM2_BANDS = 8  # clear, snow, shadow, light haze, heavy haze, cloud, confidence, unusable


@dataclass(frozen=True)
class Udm2Mask:
    """The usable data mask of an image, on the image's pixels; see `satellite.Mask`."""

    file: RasterFile

    def quality(self, grid: Grid, window: Window) -> np.ndarray:
        """See `Mask.quality`."""
        counts, _ = self.file.read(range(_UDM2_BANDS), window, nodata=float("nan"))
        return udm2_quality(counts)


def udm2_quality(udm2: np.ndarray) -> np.ndarray:
    """Quality uint8 [h, w] from the eight bands [8, h, w] of a UDM2.

    0 where band 8 (unusable) is not 0; else 1 where snow, shadow, light haze, heavy haze or cloud (bands 2 to 6) is 1;
    else 2. Source: PLANET's description of UDM 2.
    """
    quality = np.where((udm2[1:6] == 1).any(axis=0), LOW_QUALITY, HIGH_QUALITY).astype(np.uint8)
    quality[udm2[7] != 0] = INVALID
    return quality


def parse_planet_id(name: str) -> date | None:
    """Day of acquisition that an image id says; None where the name is no image id.

    Ids are YYYYMMDD_HHMMSS[_NN]_XXXX of a scene, and TILE_TILE_YYYY-MM-DD_XXXX of an orthotile.
    """
    match = _SCENE.fullmatch(name) or _ORTHOTILE.fullmatch(name)
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def find_planet_scenes(data_dir: Path) -> list[Path]:
    """Directories below `data_dir` that are named like an image, or hold one, in the order of their names and paths.

    Links are followed, each directory is entered once. Nothing is opened: a directory found may be incomplete, and one
    with *_SR.tif whose name is no image id is found so that somebody can say so.
    """
    return sorted(_walk(data_dir), key=lambda path: (path.name, path))


def _walk(root: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for place, directories, files in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            directories.clear()
            continue
        seen.add(real)
        if any(name.endswith(_IMAGE_ENDINGS) for name in files):
            yield Path(place)
        images = [name for name in directories if parse_planet_id(name)]
        directories[:] = sorted(name for name in directories if name not in images)
        yield from (Path(place) / name for name in images)


def open_planet_scene(
    directory: Path,
    auxiliaries: Sequence[AuxiliaryRaster] = (),
    region: str = NO_REGION,
    group: str | None = None,
) -> SatelliteScene:
    """Open the image in a directory whose name is its id.

    Args:
        directory: holds *_SR.tif or *_SR_clip.tif (four bands blue, green, red, nir, or the eight of SuperDove) and
            *_udm2.tif or *_udm2_clip.tif; *_metadata.json, if there, gives the sun's place.
        auxiliaries: elevation, trends; without them the scene has no band dem, or tc_….
        region: where the scene lies.
        group: what it belongs to.

    Raises:
        UserError: the name is no image id, a file is missing, cannot be read, or does not fit the other.
    """
    day = parse_planet_id(directory.name)
    if day is None:
        raise UserError(f"{directory}: the directory's name is no PLANET image id.")
    path, mask_path = _one_of(directory, "SR"), _one_of(directory, "udm2")
    file = RasterFile.open(path)
    names = {4: BANDS_OF_FOUR, 8: BANDS_OF_EIGHT}.get(len(file.indexes))
    if names is None:
        raise UserError(f"{path}: {len(file.indexes)} bands; a PLANET image has 4 or 8.")
    udm2 = RasterFile.open(mask_path)
    if len(udm2.indexes) < _UDM2_BANDS:
        raise UserError(f"{mask_path}: {len(udm2.indexes)} bands; a UDM2 has {_UDM2_BANDS}.")
    differences = grid_differences(udm2.grid, file.grid)
    if differences:
        raise UserError(f"{mask_path} does not lie on {path.name}: {'; '.join(differences)}.")
    nodata = 0.0 if file.nodata[0] is None else None  # PLANET's black fill, should the file not say so
    image = RasterScene.open(path, names, *stated_or(file, REFLECTANCE_SCALE), nodata, directory.name)
    place = tuple(auxiliaries), region, group
    return SatelliteScene(image, Udm2Mask(udm2), *place, day.isoformat(), sun_angles(directory))


def _one_of(directory: Path, kind: str) -> Path:
    """The first `*_kind.tif`, else the first `*_kind_clip.tif`."""
    for pattern in (f"*_{kind}.tif", f"*_{kind}_clip.tif"):
        found = sorted(directory.glob(pattern))
        if found:
            return found[0]
    raise UserError(f"{directory}: no *_{kind}.tif and no *_{kind}_clip.tif.")
