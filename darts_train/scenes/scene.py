"""What a scene is, whatever it was made from: bands and a quality, read by window, in physical units."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from darts_train.base.errors import UserError, nearest
from darts_train.raster.band import Band
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window

NO_REGION = "No Region"
INVALID, LOW_QUALITY, HIGH_QUALITY = 0, 1, 2


class Scene(Protocol):
    """One image with its place, its date and its bands."""

    @property
    def scene_id(self) -> str:
        """The scene's name, unique within a set."""
        ...

    @property
    def grid(self) -> Grid:
        """Size and place."""
        ...

    @property
    def source(self) -> str:
        """Path of the file, as given."""
        ...

    @property
    def region(self) -> str:
        """Name of the region, NO_REGION where unknown."""
        ...

    @property
    def group(self) -> str | None:
        """What the scene belongs to (a site, a flight); None where unknown."""
        ...

    @property
    def date(self) -> str | None:
        """Day of acquisition, ISO 8601; None where unknown."""
        ...

    @property
    def sun(self) -> tuple[float, float] | None:
        """Azimuth, clockwise from north, and elevation of the sun, degrees; None where unknown."""
        ...

    @property
    def bands(self) -> Mapping[str, Band]:
        """The source bands by name, with the encodings in which they are stored."""
        ...

    def read(self, names: Sequence[str], window: Window) -> np.ndarray:
        """Bands as float32 [b, h, w] in physical units, NaN where there is no data.

        The window may reach beyond the scene: NaN there, except in auxiliary bands, which go on where their raster
        does. Raises UserError for an unknown name and for a file that cannot be read.
        """
        ...

    def quality(self, window: Window) -> np.ndarray:
        """Quality uint8 [h, w]: 0 invalid (and beyond the scene), 1 low, 2 high."""
        ...


def require_bands(scene: Scene, names: Sequence[str]) -> None:
    """Raise UserError, with the nearest names, where the scene lacks a band."""
    for name in names:
        if name not in scene.bands:
            raise UserError(
                f"{scene.source}: no band {name}; it has {', '.join(scene.bands)}{nearest(name, scene.bands)}."
            )
