"""From a scene to the bands of a network, by window: one stack, used for training and for maps alike.

A band that the scene has is read; one that it lacks is computed from others. Bands of the terrain look at their
surroundings, so their elevation is read with a halo, and a window's pixels are the same whatever windows are asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.features.blocks import by_rows
from darts_train.features.ground import Ground, ground
from darts_train.features.known import COMPUTED, DEM, encoding_of, index_of, needs_elevation, require_sources
from darts_train.features.relative_elevation import check_ring, pixel_radii, relative_elevation
from darts_train.features.spectral import INDICES, needs_reflectance
from darts_train.features.terrain import hillshade
from darts_train.features.terrain_bands import TERRAIN
from darts_train.raster.band import Band
from darts_train.raster.catalogue import is_reflectance
from darts_train.raster.patches import Window
from darts_train.scenes.scene import Scene

__all__ = ["COMPUTED", "DEFAULT_SUN", "DEM", "INDICES", "FeatureStack"]

DEFAULT_SUN = (225.0, 25.0)  # azimuth and elevation, degrees, of the operational pipeline
_log = logger("features")


@dataclass(frozen=True)
class FeatureStack:
    """The wanted bands, in order; radii of the relative elevation in metres.

    Raises UserError for a name given twice, for none at all, and for an inner radius that is not below the outer one.
    """

    names: Sequence[str]
    outer_radius: float = 100.0
    inner_radius: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        doubled = sorted({name for name in self.names if list(self.names).count(name) > 1})
        if doubled or not self.names:
            raise UserError(f"--bands: {doubled[0]} is given twice." if doubled else "--bands: no band is given.")
        if not 0 <= self.inner_radius < self.outer_radius:
            raise UserError(
                f"--tpi-inner-radius: {self.inner_radius:g} must be below --tpi-outer-radius, {self.outer_radius:g}."
            )

    def bands_for(self, scene: Scene) -> tuple[Band, ...]:
        """Encodings of the bands for this scene: its own, or the catalogue's for computed ones.

        Raises UserError, naming the scene and all that is missing, where a band can neither be read nor computed.
        """
        sources = require_sources(self.names, tuple(scene.bands), scene.source)
        for name in self._indices_of(scene):
            _check_units(name, [scene.bands[source] for source in sources[name]], scene.source)
        if self._terrain_of(scene):
            self._check_terrain(scene)
        return tuple(scene.bands[name] if name in scene.bands else encoding_of(name) for name in self.names)

    def _check_terrain(self, scene: Scene) -> None:
        steps, computed = ground(scene.grid, scene.source), self._terrain_of(scene)
        if "relative_elevation" in computed:
            check_ring(pixel_radii(self.outer_radius, steps), pixel_radii(self.inner_radius, steps))

    def warn_of_sun(self, scenes: Sequence[Scene]) -> None:
        """Say in one line in which scenes hillshade is computed with the usual place of the sun."""
        dark = [scene.scene_id for scene in scenes if scene.sun is None and "hillshade" in self._terrain_of(scene)]
        if dark:
            usual = "the sun's place is unknown; azimuth %g, elevation %g degrees taken"
            _log.warning(f"%s: {usual}", listing(dark, 3), *DEFAULT_SUN)

    def halo(self, scene: Scene) -> int:
        """Pixels beyond a window that are looked at for it; 0 where all bands are read or computed in place."""
        computed = self._terrain_of(scene)
        if not computed:
            return 0
        steps = ground(scene.grid, scene.source)
        return max(self._halo_of(name, steps) for name in computed)

    def compute(self, scene: Scene, window: Window) -> np.ndarray:
        """All bands of a window, float32 [c, h, w] in physical units, NaN where there is no data.

        Where the window reaches beyond the scene there is NaN, but in bands of auxiliary rasters.
        """
        if all(name in scene.bands for name in self.names):
            return scene.read(self.names, window)
        result = np.empty((len(self.names), window.height, window.width), np.float32)
        sources = require_sources(self.names, tuple(scene.bands), scene.source)
        terrain = self._terrain_of(scene)
        plain = list(dict.fromkeys(need for name in self.names if name not in terrain for need in sources[name]))
        read = dict(zip(plain, scene.read(plain, window), strict=True)) if plain else {}
        elevation = self._compute_terrain(scene, window)
        for i, name in enumerate(self.names):
            if name in scene.bands:
                result[i] = read[name]
            elif name in terrain:
                result[i] = elevation[name]
            elif index := index_of(name):
                needs = sources[name]
                result[i] = index.of([read[need] for need in needs], [scene.bands[need] for need in needs])
        return result

    def _terrain_of(self, scene: Scene) -> list[str]:
        return [name for name in self.names if name not in scene.bands and needs_elevation(name)]

    def _indices_of(self, scene: Scene) -> list[str]:
        return [name for name in self.names if name not in scene.bands and not needs_elevation(name)]

    def _halo_of(self, name: str, steps: Ground) -> int:
        if name == "relative_elevation":
            return max(1, *pixel_radii(self.outer_radius, steps))
        return TERRAIN[name].margin if name in TERRAIN else 1

    def _compute_terrain(self, scene: Scene, window: Window) -> dict[str, np.ndarray]:
        computed = self._terrain_of(scene)
        if not computed:
            return {}
        halo = self.halo(scene)
        steps = ground(scene.grid, scene.source)
        dem = scene.read([DEM], window.grown(halo))[0]
        found = {}
        for name in computed:
            near = _trimmed(dem, halo - self._halo_of(name, steps))
            if name == "relative_elevation":
                outer, inner = (pixel_radii(radius, steps) for radius in (self.outer_radius, self.inner_radius))
                found[name] = relative_elevation(near, outer, inner, self._halo_of(name, steps))
            elif name == "hillshade":
                sun = scene.sun or DEFAULT_SUN
                found[name] = by_rows(lambda part, sun=sun: hillshade(part, steps, *sun), [near], 1)
            else:
                found[name] = TERRAIN[name].of(near, steps)
        return found


def _trimmed(dem: np.ndarray, margin: int) -> np.ndarray:
    return dem[margin : dem.shape[0] - margin, margin : dem.shape[1] - margin]


def _check_units(name: str, bands: Sequence[Band], where: str) -> None:
    counts = [band.name for band in bands if band.optical and not is_reflectance(band)]
    index = index_of(name)
    if counts and index is not None and needs_reflectance(index):
        raise UserError(f"{where}: band {name} needs reflectances, but has counts of {listing(counts)}; give --scale.")
