"""Labels as class indices on the pixels of a scene, whatever they were: a label raster, or polygons.

Both forms say uint8 [h, w]: the class index, and IGNORE_INDEX where nobody labelled: beyond the scene, outside the
labelled extent, at a raster's no data.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import shapely
from affine import Affine
from rasterio.features import rasterize

from darts_train.base.errors import UserError
from darts_train.raster.band import IGNORE_INDEX
from darts_train.raster.grid import Grid, grid_differences
from darts_train.raster.patches import Window
from darts_train.scenes.class_values import classes_of, uncovered
from darts_train.scenes.georeference import WGS84, reproject_geometries, same_crs, scene_outline
from darts_train.scenes.raster_file import RasterFile

_CENSUS_PIXELS = 2**22  # pixels looked at at once when a label raster is counted


class Labels(Protocol):
    """The labels of one scene."""

    def read(self, window: Window) -> np.ndarray:
        """Class indices uint8 [h, w] of a window, IGNORE_INDEX where unlabelled and beyond the scene."""
        ...

    def features(self, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The polygons as GeoJSON features in EPSG:4326, with these properties and their class; none for a raster."""
        ...


@dataclass(frozen=True)
class RasterLabels:
    """A label raster on the grid of its scene.

    `mapping` is label value → class index; with `mapping_first`, a value that it names counts even where the file
    declares it as no data (0 often is both).
    """

    file: RasterFile
    mapping: Mapping[int, int]
    mapping_first: bool = False

    @property
    def _nodata(self) -> float | None:
        declared = self.file.nodata[0]
        return float("nan") if self.mapping_first and declared in self.mapping else None  # NaN: none at all

    def read(self, window: Window) -> np.ndarray:
        """See `Labels.read`."""
        values, valid = self.file.read([0], window, self._nodata)
        return classes_of(values[0], valid[0], self.mapping)

    def features(self, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
        """See `Labels.features`: none."""
        return []

    def census(self) -> dict[float, int]:
        """Pixels per value that stands for no class, over the whole raster by parts; empty where all is well."""
        found: dict[float, int] = {}
        for part in self.file.parts(_CENSUS_PIXELS):
            values, valid = self.file.read([0], part, self._nodata)
            for value, pixels in uncovered(values[0], valid[0], self.mapping).items():
                found[value] = found.get(value, 0) + pixels
        return found


class MisfitError(UserError):
    """A label raster that does not lie on the pixels of its image."""


def check_label_raster(image: RasterFile, label: RasterFile) -> None:
    """Raise MisfitError, naming the label and the numbers, where a label raster does not lie on its image's pixels.

    One of the two without georeference (a PNG mask) is compared by size alone. UserError where it has several bands.
    """
    if len(label.indexes) != 1:
        raise UserError(f"{label.path}: a label raster has one band, this has {len(label.indexes)}.")
    differences = label_differences(image, label)
    if differences:
        how = "" if getattr(image, "orientation", 1) == 1 else " (turned as its EXIF says; turn the labels too)"
        raise MisfitError(f"{label.path} does not lie on {image.path}: {'; '.join(differences)}{how}.")


def label_differences(image: RasterFile, label: RasterFile) -> list[str]:
    """How the grid of a label raster differs from its image's, in words with numbers; nothing where it does not."""
    one, other = label.grid, image.grid
    if one.crs is None or other.crs is None or same_crs(one.crs, other.crs):
        return grid_differences(one, other)
    sizes = grid_differences(dataclasses.replace(one, transform=None), other)  # places cannot be compared
    return [*sizes, f"{one.crs} against {other.crs}"]


@dataclass(frozen=True)
class PolygonLabels:
    """Polygons with a class each, burnt where they hold a pixel's centre; of overlapping ones the last wins.

    `geometries` and `classes` [n] are in the coordinates of `grid`. `extent` is what was labelled (None: all of
    the scene): background without a polygon is background inside of it, and unknown outside.
    """

    grid: Grid
    geometries: np.ndarray
    classes: np.ndarray
    extent: Any = None
    _tree: shapely.STRtree = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_tree", shapely.STRtree(self.geometries))

    def read(self, window: Window) -> np.ndarray:
        """See `Labels.read`."""
        near = np.sort(self._tree.query(_box(self.grid, window)))
        classes = _burn(self.grid, window, self.geometries[near], self.classes[near], background=0)
        if self.extent is not None:
            labelled = _burn(self.grid, window, [self.extent], [1], background=0)
            classes[labelled == 0] = IGNORE_INDEX
        inside = np.zeros(classes.shape, bool)
        inside[window.intersection(self.grid.extent).slices(window)] = True
        classes[~inside] = IGNORE_INDEX
        return classes

    def features(self, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
        """See `Labels.features`: those that touch the scene; none where its place on the earth is unknown."""
        if self.grid.crs is None or not len(self.geometries):
            return []
        touching = np.sort(self._tree.query(_box(self.grid, self.grid.extent), predicate="intersects"))
        there = reproject_geometries(self.geometries[touching], self.grid.crs, WGS84)
        return [
            {
                "type": "Feature",
                "properties": {**properties, "class": int(index)},
                "geometry": shapely.geometry.mapping(geometry),
            }
            for geometry, index in zip(there, self.classes[touching], strict=True)
        ]


def polygons_on(grid: Grid, geometries: np.ndarray, crs: str | None, source: str) -> np.ndarray:
    """Polygons in the coordinates of a scene's grid; UserError where only one of the two has a place on the earth."""
    if same_crs(crs, grid.crs):
        return geometries
    if crs is None or grid.crs is None or scene_outline(grid) is None:
        missing = source if crs is None else "the image"
        raise UserError(f"{source}: the polygons cannot be placed, as {missing} has no coordinate reference system.")
    try:
        return reproject_geometries(geometries, crs, grid.crs)
    except UserError as error:
        raise UserError(f"{source}: the polygons cannot be placed: {error}") from None


def _box(grid: Grid, window: Window) -> Any:
    corners = [(window.x, window.y), (window.right, window.y), (window.right, window.bottom), (window.x, window.bottom)]
    return shapely.Polygon([grid.position(*corner) for corner in corners])


def _burn(grid: Grid, window: Window, geometries: Sequence[Any], classes: Sequence[int], background: int) -> np.ndarray:
    shape = (window.height, window.width)
    if not len(geometries):
        return np.full(shape, background, np.uint8)
    place = grid.window(window).transform or (1.0, 0.0, float(window.x), 0.0, 1.0, float(window.y))
    shapes = [(geometry, int(index)) for geometry, index in zip(geometries, classes, strict=True)]
    burnt: np.ndarray = rasterize(shapes, shape, fill=background, transform=Affine(*place), dtype="uint8")
    return burnt
