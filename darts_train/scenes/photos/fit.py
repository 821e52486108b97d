"""An image that is fitted to patches as a whole: one image, one patch.

The image and its labels are resampled together, in the pixels of the fitted grid; a fitted image that is smaller than
a patch in one direction is padded with no data when it is cut, as every image is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from darts_train.raster.band import IGNORE_INDEX, Band
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.raster.resampling import resample_classes, resample_values
from darts_train.scenes.labels import Labels
from darts_train.scenes.raster_scene import RasterScene
from darts_train.scenes.scene import HIGH_QUALITY, INVALID, require_bands


@dataclass(frozen=True)
class FittedScene:
    """A scene resampled to another size; see `Scene` for what its methods promise.

    The whole scene is read at once, and the last one is kept: its values, and no more, are in memory.
    """

    original: RasterScene
    grid: Grid

    @property
    def scene_id(self) -> str:
        """The scene's name."""
        return self.original.scene_id

    @property
    def source(self) -> str:
        """Path of the file, as given."""
        return self.original.source

    @property
    def region(self) -> str:
        """Name of the region."""
        return self.original.region

    @property
    def group(self) -> str | None:
        """What the scene belongs to."""
        return self.original.group

    @property
    def date(self) -> str | None:
        """Day of acquisition."""
        return self.original.date

    @property
    def sun(self) -> tuple[float, float] | None:
        """Place of the sun."""
        return self.original.sun

    @property
    def bands(self) -> Mapping[str, Band]:
        """Encodings, those of the scene as it was."""
        return self.original.bands

    @property
    def dtypes(self) -> Mapping[str, str]:
        """Types of the bands in the file, by name."""
        return self.original.dtypes

    @property
    def gaps_by_band(self) -> bool:
        """Whether a band can lack data where another has some."""
        return self.original.gaps_by_band

    def read(self, names: Sequence[str], window: Window) -> np.ndarray:
        """See `Scene.read`."""
        require_bands(self.original, names)
        positions = [self.original.names.index(name) for name in names]
        return _cut(_values(self)[positions], window, np.nan)

    def quality(self, window: Window) -> np.ndarray:
        """See `Scene.quality`: invalid where no band has data, high elsewhere."""
        present = ~np.isnan(_values(self)).all(axis=0)
        quality = np.where(present, HIGH_QUALITY, INVALID).astype(np.uint8)
        fitted: np.ndarray = _cut(quality[None], window, INVALID)[0]
        return fitted


@dataclass(frozen=True)
class FittedLabels:
    """Labels on the pixels of `original`, resampled to `grid`: each pixel has the class that covers most of it."""

    labels: Labels
    original: Grid
    grid: Grid

    def read(self, window: Window) -> np.ndarray:
        """See `Labels.read`."""
        whole = self.labels.read(self.original.extent)
        classes = resample_classes(whole, self.grid.height, self.grid.width)
        fitted: np.ndarray = _cut(classes[None], window, IGNORE_INDEX)[0]
        return fitted

    def features(self, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
        """See `Labels.features`."""
        return self.labels.features(properties)


def fitted_grid(grid: Grid, width: int, height: int) -> Grid:
    """The grid of the same place in so many pixels."""
    if grid.transform is None:
        return Grid(width, height, None, grid.crs)
    across, down = grid.width / width, grid.height / height
    a, b, c, d, e, f = grid.transform
    return Grid(width, height, (a * across, b * down, c, d * across, e * down, f), grid.crs)


@lru_cache(maxsize=1)
def _values(scene: FittedScene) -> np.ndarray:
    """All bands of the fitted scene, float32 [c, h, w]; read for the values and for the quality, so kept."""
    values = scene.original.read(scene.original.names, scene.original.grid.extent)
    return resample_values(values, scene.grid.height, scene.grid.width)


def _cut(values: np.ndarray, window: Window, beyond: float) -> np.ndarray:
    """A window of [c, h, w], which may reach beyond."""
    extent = Window(0, 0, values.shape[2], values.shape[1])
    result: np.ndarray = np.full((len(values), window.height, window.width), beyond, values.dtype)
    inside = window.intersection(extent)
    result[:, *inside.slices(window)] = values[:, *inside.slices(extent)]
    return result
