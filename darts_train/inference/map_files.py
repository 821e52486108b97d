"""Maps as they lie on the disk: directories that predict wrote, or any raster of classes or probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from darts_train.base.errors import UserError, listing
from darts_train.inference.writing.rasters import CLASSES, NODATA, PROBABILITIES
from darts_train.options.postprocessing import MapValues
from darts_train.raster.grid import Grid, grid_differences
from darts_train.raster.patches import Window
from darts_train.scenes.class_values import classes_of, uncovered
from darts_train.scenes.georeference import same_crs
from darts_train.scenes.raster_file import RasterFile, open_dataset

RASTER_SUFFIXES = (".tif", ".tiff", ".vrt", ".png", ".jp2", ".img", ".bmp")
PLAIN = ("background", "positive")
DEFAULT_THRESHOLD = 0.5
Percent = NDArray[np.uint8]


@dataclass(frozen=True)
class MapFile:
    """One map.

    `classes` and `probabilities`: at least one is there. `names`: of the classes, the background first. `unit`:
    probabilities are 0 to 1, not percent. `remap`: value of the class raster → class, where it is not the same.
    """

    name: str
    source: Path
    classes: RasterFile | None
    probabilities: RasterFile | None
    names: tuple[str, ...]
    unit: bool = False
    remap: tuple[tuple[int, int], ...] | None = None

    @property
    def grid(self) -> Grid:
        """Size and place."""
        file = self.classes or self.probabilities
        assert file is not None
        return file.grid

    @property
    def bands(self) -> int:
        """Bands of probabilities: 1 for two classes (of the positive one), else one for each class; 0 without."""
        return 0 if self.probabilities is None else len(self.probabilities.indexes)

    def chances(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Probabilities float32 [k, h, w] in 0…1, and where they are known, bool [h, w]. Needs `probabilities`.

        Raises UserError where a value is no probability: logits, bytes, the colours of a picture.
        """
        assert self.probabilities is not None
        values, valid = self.probabilities.read(range(self.bands), window)
        top, known = (1 if self.unit else 100), values[valid]
        if known.size and not (known.min() >= 0 and known.max() <= top):
            raise UserError(
                f"{self.probabilities.path}: {known.min():g} to {known.max():g} are no probabilities of 0 to {top};"
                " say with --map-values what the raster holds."
            )
        chances = values.astype(np.float32)
        everywhere: NDArray[np.bool_] = np.logical_and.reduce(valid, axis=0)
        return (chances if self.unit else np.divide(chances, 100, dtype=np.float32)), everywhere

    def read(self, window: Window, threshold: float | None) -> NDArray[np.uint8]:
        """Class indices uint8 [h, w], NODATA where the map has none.

        With a threshold, or without a class raster, they come from the probabilities: above the threshold (default
        0.5), or the most probable class. Raises UserError where a pixel holds no class.
        """
        if self.classes is None or (threshold is not None and self.probabilities is not None):
            chances, valid = self.chances(window)
            return np.where(valid, decided(chances, threshold, self.unit), np.uint8(NODATA))
        mapping = dict(self.remap) if self.remap else {i: i for i in range(len(self.names))}
        named = self.remap is not None and self.classes.nodata[0] in mapping  # a class, whatever the file says
        values, valid = self.classes.read([0], window, float("nan") if named else None)
        beyond = uncovered(values[0], valid[0], mapping)
        if beyond:
            found = [f"{value:g} ({pixels} pixels)" for value, pixels in sorted(beyond.items())]
            raise UserError(
                f"{self.classes.path}: {listing(found)} beyond the classes {', '.join(self.names)};"
                " name them with --classes, or say what values mean."
            )
        return classes_of(values[0], valid[0], mapping)


def decided(chances: NDArray[np.float32], threshold: float | None, unit: bool) -> NDArray[np.uint8]:
    """Class index uint8 [h, w] of probabilities [k, h, w]: above the threshold, or the most probable (first of equal).

    Percent are compared as whole numbers: 0.29 as float32 hundredths is not 29 percent.
    """
    if len(chances) > 1:
        return np.asarray(np.nan_to_num(chances, nan=-1).argmax(axis=0), np.uint8)
    limit = DEFAULT_THRESHOLD if threshold is None else threshold
    if unit:
        return np.asarray(chances[0] > limit, np.uint8)
    return np.asarray(np.rint(chances[0] * 100) > round(limit * 100, 9), np.uint8)


def find_maps(
    paths: Sequence[Path], option: str, values: MapValues = "auto", classes: Sequence[str] | None = None
) -> list[MapFile]:
    """The maps that paths mean: map directories, directories of them or of rasters, single rasters; by name.

    Raises UserError where there is none, one cannot be read, or two have one name.
    """
    found: dict[str, MapFile] = {}
    for path in paths:
        for place in _places(path, option):
            one = open_map_file(place, values, classes)
            if one.name in found:
                raise UserError(f"{option}: {place} and {found[one.name].source} are both named {one.name}.")
            found[one.name] = one
    return [found[name] for name in sorted(found)]


def _places(path: Path, option: str) -> list[Path]:
    if not path.exists():
        raise UserError(f"{option}: {path} does not exist.")
    if path.is_file() or _is_map(path):
        return [path]
    inside = sorted(item for item in path.iterdir() if not item.name.startswith("."))
    maps = [item for item in inside if item.is_dir() and _is_map(item)]
    rasters = [item for item in inside if item.is_file() and item.suffix.lower() in RASTER_SUFFIXES]
    if not maps and not rasters:
        raise UserError(f"{option}: no map in {path} (a directory with {CLASSES} or {PROBABILITIES}, or a raster).")
    return maps or rasters


def _is_map(path: Path) -> bool:
    return path.is_dir() and ((path / CLASSES).is_file() or (path / PROBABILITIES).is_file())


def open_map_file(path: Path, values: MapValues = "auto", classes: Sequence[str] | None = None) -> MapFile:
    """One map directory or raster. Raises UserError where it cannot be read, or names of classes do not fit it."""
    if path.is_dir():
        parts = [path / CLASSES, path / PROBABILITIES]
        one, other = (RasterFile.open(part) if part.is_file() else None for part in parts)
        if one is not None and other is not None:
            _check_same_grid(one, other)
        unit = other is not None and other.dtypes[0].startswith("float")
        return _named(MapFile(path.name, path, one, other, (), unit), classes)
    file = RasterFile.open(path)
    name = path.parent.name if path.name in (CLASSES, PROBABILITIES) else path.stem
    kind = _kind(file) if values == "auto" else values
    if kind == "classes" and (len(file.indexes) != 1 or file.dtypes[0].startswith("float")):
        raise UserError(f"{path}: a raster of classes has one band of whole numbers.")
    if kind == "classes":
        return _named(MapFile(name, path, file, None, ()), classes)
    return _named(MapFile(name, path, None, file, (), kind == "unit"), classes)


def _kind(file: RasterFile) -> MapValues:
    """What a raster holds: fractions where it has decimals, percent where its bands say so, else classes."""
    if file.dtypes[0].startswith("float"):
        return "unit"
    told = file.path.name == PROBABILITIES or str(file.descriptions[0]).endswith(", percent")
    return "percent" if told or len(file.indexes) > 1 else "classes"


def _named(found: MapFile, classes: Sequence[str] | None) -> MapFile:
    names = tuple(classes or _tags(found) or PLAIN)
    needed = found.bands if found.bands > 1 else 2 if found.bands else 0
    if needed and len(names) != needed:
        if classes or _tags(found):
            raise UserError(f"{found.source}: probabilities of {needed} classes, but {len(names)} names of classes.")
        names = ("background", *(f"class_{i}" for i in range(1, needed)))
    return MapFile(found.name, found.source, found.classes, found.probabilities, names, found.unit, found.remap)


def _tags(found: MapFile) -> tuple[str, ...]:
    """Names that the class raster tells, as predict writes them: `class_0` and so on."""
    if found.classes is None:
        return ()
    with open_dataset(found.classes.path) as dataset:
        tags = dataset.tags()
    names: list[str] = []
    while f"class_{len(names)}" in tags:
        names.append(tags[f"class_{len(names)}"])
    return tuple(names) if len(names) > 1 else ()


def _check_same_grid(one: RasterFile, other: RasterFile) -> None:
    differences = grid_differences(one.grid, other.grid)
    if differences or not same_crs(one.grid.crs, other.grid.crs):
        raise UserError(f"{one.path} does not lie on {other.path.name}: {'; '.join(differences) or 'another system'}.")
