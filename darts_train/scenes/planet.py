"""PLANET scenes: surface reflectance with its usable data mask, as ordered from PSScene and PSOrthoTile.

data_dir/iteration001/<site>/<image id>/…       any depth is searched; the id is the directory's name
data_dir/<iteration>/<image id>/*_SR.tif, *_udm2.tif, *_metadata.json     (or *_SR_clip.tif, *_udm2_clip.tif)
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError
from darts_train.raster.band import Band
from darts_train.raster.catalogue import CATALOGUE
from darts_train.raster.grid import Grid, grid_differences
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary import AuxiliaryRaster
from darts_train.scenes.planet_metadata import sun_angles
from darts_train.scenes.raster_file import RasterFile
from darts_train.scenes.raster_scene import RasterScene
from darts_train.scenes.scene import HIGH_QUALITY, INVALID, LOW_QUALITY, NO_REGION, require_bands

REFLECTANCE_SCALE = 1e-4  # of one count
BANDS_OF_FOUR = ("blue", "green", "red", "nir")
BANDS_OF_EIGHT = ("coastal", "blue", "green_i", "green", "yellow", "red", "rededge", "nir")
_SCENE = re.compile(r"(\d{4})(\d{2})(\d{2})_\d{6}(_\d+)?_[0-9A-Za-z]{4}")
_ORTHOTILE = re.compile(r"\d+_\d+_(\d{4})-(\d{2})-(\d{2})_[0-9A-Za-z]{4}")
_UDM2_BANDS = 8  # clear, snow, shadow, light haze, heavy haze, cloud, confidence, unusable


@dataclass(frozen=True)
class PlanetScene:
    """A PLANET image on the disk; see `Scene` for what its methods promise."""

    image: RasterScene
    udm2: RasterFile
    auxiliaries: tuple[AuxiliaryRaster, ...] = ()
    region: str = NO_REGION
    group: str | None = None
    date: str | None = None
    sun: tuple[float, float] | None = None

    @property
    def scene_id(self) -> str:
        """The image id."""
        return self.image.scene_id

    @property
    def grid(self) -> Grid:
        """Size and place."""
        return self.image.grid

    @property
    def source(self) -> str:
        """Path of the reflectance file."""
        return self.image.source

    @cached_property
    def bands(self) -> Mapping[str, Band]:
        """Reflectance as the catalogue stores it, which keeps every count up to 64534, and the auxiliary bands."""
        own = [*self.image.names, *(name for raster in self.auxiliaries for name in raster.names)]
        return {name: CATALOGUE[name] for name in own}

    def read(self, names: Sequence[str], window: Window) -> np.ndarray:
        """See `Scene.read`. Elevation and trends go on beyond the scene."""
        require_bands(self, names)
        values = np.empty((len(names), window.height, window.width), np.float32)
        own = [i for i, name in enumerate(names) if name in self.image.names]
        values[own] = self.image.read([names[i] for i in own], window)
        for raster in self.auxiliaries:
            here = [i for i, name in enumerate(names) if name in raster.names]
            if here:
                values[here] = raster.read([names[i] for i in here], self.grid.window(window))
        return values

    def quality(self, window: Window) -> np.ndarray:
        """See `Scene.quality`: by UDM2; invalid also where the image has no data."""
        counts, _ = self.udm2.read(range(_UDM2_BANDS), window, nodata=float("nan"))
        quality = udm2_quality(counts)
        quality[self.image.quality(window) == INVALID] = INVALID
        return quality


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
    """Directories below `data_dir` that are named like an image, in the order of their ids, then their paths.

    Links are followed, each directory is entered once. Nothing is opened: a directory found may be incomplete.
    """
    return sorted(_walk(data_dir), key=lambda path: (path.name, path))


def _walk(root: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for place, directories, _ in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            directories.clear()
            continue
        seen.add(real)
        images = [name for name in directories if parse_planet_id(name)]
        directories[:] = sorted(name for name in directories if name not in images)
        yield from (Path(place) / name for name in images)


def open_planet_scene(
    directory: Path,
    arcticdem: AuxiliaryRaster | None = None,
    tcvis: AuxiliaryRaster | None = None,
    region: str = NO_REGION,
    group: str | None = None,
) -> PlanetScene:
    """Open the image in a directory whose name is its id.

    Args:
        directory: holds *_SR.tif or *_SR_clip.tif (four bands blue, green, red, nir, or the eight of SuperDove) and
            *_udm2.tif or *_udm2_clip.tif; *_metadata.json, if there, gives the sun's place.
        arcticdem: elevation; without it the scene has no band dem.
        tcvis: trends; without it the scene has no band tc_….
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
    image = RasterScene.open(path, names, REFLECTANCE_SCALE, 0.0, nodata, directory.name)
    auxiliaries = tuple(raster for raster in (arcticdem, tcvis) if raster is not None)
    return PlanetScene(image, udm2, auxiliaries, region, group, day.isoformat(), sun_angles(directory))


def _one_of(directory: Path, kind: str) -> Path:
    """The first `*_kind.tif`, else the first `*_kind_clip.tif`."""
    for pattern in (f"*_{kind}.tif", f"*_{kind}_clip.tif"):
        found = sorted(directory.glob(pattern))
        if found:
            return found[0]
    raise UserError(f"{directory}: no *_{kind}.tif and no *_{kind}_clip.tif.")
