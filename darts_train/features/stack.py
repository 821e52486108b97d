"""From a scene to the bands of a network, by window: one stack, used for training and for maps alike.

A band that the scene has is read; one that it lacks is computed from others. Bands of the terrain look at their
surroundings, so their elevation is read with a halo, and a window's pixels are the same whatever windows are asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from darts_train.base.errors import UserError, nearest
from darts_train.base.log import logger
from darts_train.features.ground import Ground, ground
from darts_train.features.relative_elevation import check_ring, pixel_radii, relative_elevation
from darts_train.features.spectral import normalised_difference
from darts_train.features.terrain import aspect, curvature, hillshade, slope
from darts_train.raster.band import Band
from darts_train.raster.catalogue import CATALOGUE, is_reflectance
from darts_train.raster.patches import Window
from darts_train.scenes.scene import Scene

DEM = "dem"
DEFAULT_SUN = (225.0, 25.0)  # azimuth and elevation, degrees, of the operational pipeline
INDICES = {"ndvi": ("nir", "red")}
TERRAIN: dict[str, Callable[[np.ndarray, Ground], np.ndarray]] = {
    "slope": slope,
    "aspect": aspect,
    "curvature": curvature,
}
COMPUTED = (*INDICES, "relative_elevation", "hillshade", *TERRAIN)
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

        Raises UserError, naming the scene and what is missing, where a band can neither be read nor computed.
        """
        for name in self.names:
            self._check(name, scene)
        return tuple(scene.bands[name] if name in scene.bands else CATALOGUE[name] for name in self.names)

    def _check(self, name: str, scene: Scene) -> None:
        if name in scene.bands:
            return
        if name not in COMPUTED:
            known = [*scene.bands, *COMPUTED]
            raise UserError(
                f"{scene.source}: no band {name}; it has {', '.join(scene.bands)}, and computed can be"
                f" {', '.join(COMPUTED)}{nearest(name, known)}."
            )
        missing = [need for need in _needs(name) if need not in scene.bands]
        if missing:
            raise UserError(f"{scene.source}: band {name} needs {' and '.join(missing)}, which it has not.")
        if name in INDICES:
            return
        steps = ground(scene.grid, scene.source)
        if name == "relative_elevation":
            check_ring(pixel_radii(self.outer_radius, steps), pixel_radii(self.inner_radius, steps))
        if name == "hillshade" and scene.sun is None:
            _log.warning(
                "%s: the sun's place is unknown; azimuth %g, elevation %g degrees taken", scene.source, *DEFAULT_SUN
            )

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
        result = np.empty((len(self.names), window.height, window.width), np.float32)
        plain = self._plain_inputs(scene)
        read = dict(zip(plain, scene.read(plain, window), strict=True)) if plain else {}
        terrain = self._compute_terrain(scene, window)
        for i, name in enumerate(self.names):
            if name in scene.bands:
                result[i] = read[name]
            elif name in INDICES:
                one, other = INDICES[name]
                limit = 1.0 if is_reflectance(scene.bands[one]) and is_reflectance(scene.bands[other]) else np.inf
                result[i] = normalised_difference(read[one], read[other], limit)
            else:
                result[i] = terrain[name]
        return result

    def _plain_inputs(self, scene: Scene) -> list[str]:
        own = [name for name in self.names if name in scene.bands]
        needed = [need for name in self.names if name not in scene.bands and name in INDICES for need in INDICES[name]]
        return list(dict.fromkeys([*own, *needed]))

    def _terrain_of(self, scene: Scene) -> list[str]:
        return [name for name in self.names if name not in scene.bands and name not in INDICES]

    def _halo_of(self, name: str, steps: Ground) -> int:
        return max(1, *pixel_radii(self.outer_radius, steps)) if name == "relative_elevation" else 1

    def _compute_terrain(self, scene: Scene, window: Window) -> dict[str, np.ndarray]:
        computed = self._terrain_of(scene)
        if not computed:
            return {}
        halo = self.halo(scene)
        steps = ground(scene.grid, scene.source)
        dem = scene.read([DEM], window.grown(halo))[0]
        near = dem[halo - 1 : dem.shape[0] - halo + 1, halo - 1 : dem.shape[1] - halo + 1]
        found = {}
        for name in computed:
            if name == "relative_elevation":
                inner = pixel_radii(self.inner_radius, steps)
                found[name] = relative_elevation(dem, pixel_radii(self.outer_radius, steps), inner, halo)
            elif name == "hillshade":
                found[name] = hillshade(near, steps, *(scene.sun or DEFAULT_SUN))
            else:
                found[name] = TERRAIN[name](near, steps)
        return found


def _needs(name: str) -> tuple[str, ...]:
    return INDICES.get(name, (DEM,))
