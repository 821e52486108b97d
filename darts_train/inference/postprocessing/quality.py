"""How good the pixels of a map's scene were: a raster of quality beside it, by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.inference.map_files import RASTER_SUFFIXES, MapFile
from darts_train.options.postprocessing import Trusted
from darts_train.raster.patches import Window
from darts_train.scenes.aligned import align
from darts_train.scenes.labels import label_differences
from darts_train.scenes.planet import udm2_quality
from darts_train.scenes.raster_file import RasterFile
from darts_train.scenes.scene import HIGH_QUALITY, LOW_QUALITY

LEVELS = {"none": 0, "low": LOW_QUALITY, "high": HIGH_QUALITY}
_UDM2_BANDS = 8
_log = logger("inference")


@dataclass(frozen=True)
class Quality:
    """Which pixels of a map are good enough: those of at least `level`. Without a file all that the map has."""

    file: RasterFile | None
    level: int

    def trusted(self, window: Window) -> NDArray[np.bool_]:
        """Bool [h, w] of a window. Raises UserError where the raster holds something else than quality."""
        if self.file is None or self.level == 0:
            return np.ones((window.height, window.width), bool)
        if len(self.file.indexes) >= _UDM2_BANDS:
            values, valid = self.file.read(range(_UDM2_BANDS), window, nodata=float("nan"))
            return np.asarray((udm2_quality(values) >= self.level) & valid.all(axis=0))
        values, valid = self.file.read([0], window)
        if bool((values[0][valid[0]] > HIGH_QUALITY).any()):
            top = values[0][valid[0]].max()
            raise UserError(f"{self.file.path}: {top} is no quality; 0 is invalid, 1 low, 2 high.")
        return np.asarray((values[0] >= self.level) & valid[0])


def qualities(trusted: Trusted, maps: Sequence[MapFile]) -> list[Quality]:
    """The quality of every map.

    One raster for one map; of several the one whose name begins with the map's. Raises UserError where a map has none,
    two fit, a raster cannot be read or does not meet its map, or high quality is asked for without any.
    """
    level = LEVELS[trusted.quality_level]
    if trusted.quality is None:
        if level == HIGH_QUALITY:
            raise UserError("--quality-level high wants --quality: a map alone does not tell high quality from low.")
        return [Quality(None, level) for _ in maps]
    files = [file for path in trusted.quality for file in _rasters(path)]
    if len(files) == len(maps) == 1:
        return [Quality(_on(files[0], maps[0]), level)]
    return [Quality(_on(_of(one.name, files), one), level) for one in maps]


def _rasters(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"--quality: {path} does not exist.")
    return sorted(file for file in path.iterdir() if file.suffix.lower() in RASTER_SUFFIXES)


def _of(name: str, files: Sequence[Path]) -> Path:
    exact = [file for file in files if file.stem == name]
    fitting = exact or [file for file in files if file.stem.startswith(name)]
    if not fitting:
        raise UserError(f"--quality: none of {listing(file.name for file in files)} is named like the map {name}.")
    if len(fitting) > 1:
        raise UserError(f"--quality: {listing(file.name for file in fitting)} all begin with {name}; give one of them.")
    return fitting[0]


def _on(path: Path, one: MapFile) -> RasterFile:
    """A quality raster on the pixels of a map: by nearest neighbours where its grid is another, which is said."""
    file, target = RasterFile.open(path), one.classes or one.probabilities
    assert target is not None
    if 1 < len(file.indexes) < _UDM2_BANDS:
        raise UserError(f"{path}: {len(file.indexes)} bands; a quality has one, a UDM2 {_UDM2_BANDS}.")
    differences = label_differences(target, file)
    if not differences:
        return file
    if file.grid.transform is None or target.grid.transform is None:
        raise UserError(f"{path} does not lie on the map {one.name}: {'; '.join(differences)}.")
    _log.info("%s is brought onto the pixels of %s (%s)", path.name, one.name, "; ".join(differences))
    return align(file, target)
