"""A satellite image with a quality mask of its own, and rasters of elevation and trends under it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from darts_train.raster.band import Band
from darts_train.raster.catalogue import CATALOGUE
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary import AuxiliaryRaster
from darts_train.scenes.raster_file import RasterFile
from darts_train.scenes.scene import INVALID, NO_REGION, require_bands


class Image(Protocol):
    """The pixels of a satellite: one raster file, or several."""

    @property
    def scene_id(self) -> str:
        """The image id."""
        ...

    @property
    def source(self) -> str:
        """Path as given."""
        ...

    @property
    def grid(self) -> Grid:
        """Size and place."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Bands, as the catalogue names them."""
        ...

    @property
    def files(self) -> tuple[RasterFile, ...]:
        """The files that decide the pixels."""
        ...

    def read(self, names: Sequence[str], window: Window) -> np.ndarray:
        """See `Scene.read`."""
        ...

    def quality(self, window: Window) -> np.ndarray:
        """Quality uint8 [h, w]: 0 without data, else 2."""
        ...


class Mask(Protocol):
    """What the provider says about the quality of each pixel."""

    @property
    def file(self) -> RasterFile:
        """The file that says it."""
        ...

    def quality(self, grid: Grid, window: Window) -> np.ndarray:
        """Quality uint8 [h, w], as `Scene.quality`, of a window of the image's grid."""
        ...


@dataclass(frozen=True)
class SatelliteScene:
    """Reflectance, quality and what lies under it; see `Scene` for what its methods promise.

    Without a mask every pixel with data is of high quality.
    """

    image: Image
    mask: Mask | None
    auxiliaries: tuple[AuxiliaryRaster, ...] = ()
    region: str = NO_REGION
    group: str | None = None
    date: str | None = None
    sun: tuple[float, float] | None = None

    @property
    def scene_id(self) -> str:
        """The scene's name."""
        return self.image.scene_id

    @property
    def grid(self) -> Grid:
        """Size and place."""
        return self.image.grid

    @property
    def source(self) -> str:
        """Path of the reflectance."""
        return self.image.source

    @property
    def files(self) -> tuple[RasterFile, ...]:
        """The files of image and mask."""
        return (*self.image.files, *(() if self.mask is None else (self.mask.file,)))

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
        """See `Scene.quality`: by the mask; invalid also where the image has no data."""
        present = self.image.quality(window)
        if self.mask is None:
            return present
        quality = self.mask.quality(self.grid, window)
        quality[present == INVALID] = INVALID
        return quality


def stated_or(file: RasterFile, scale: float, offset: float = 0.0) -> tuple[float | None, float | None]:
    """Scale and offset to read a file of reflectance with: None each where it states its own, else those given."""
    stated = any(one != 1.0 for one in file.scales) or any(one != 0.0 for one in file.offsets)
    return (None, None) if stated else (scale, offset)
