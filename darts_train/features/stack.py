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
from darts_train.features.duplicates import same_bands
from darts_train.features.ground import Ground, ground
from darts_train.features.indices import brightest, compute_index
from darts_train.features.kelp import WATER_MARK
from darts_train.features.known import (
    COMPUTED,
    DEM,
    check_units,
    encoding_of,
    needs_elevation,
    require_sources,
)
from darts_train.features.masking import USUAL, IndexRules
from darts_train.features.relative_elevation import check_ring, pixel_radii, relative_elevation
from darts_train.features.spectral import BRIGHTEST, INDICES
from darts_train.features.terrain import hillshade
from darts_train.features.terrain_bands import TERRAIN
from darts_train.raster.band import Band
from darts_train.raster.patches import Window
from darts_train.scenes.scene import Scene

__all__ = ["COMPUTED", "DEFAULT_SUN", "DEM", "INDICES", "FeatureStack"]

DEFAULT_SUN = (225.0, 25.0)  # azimuth and elevation, degrees, of the operational pipeline
_log = logger("features")


@dataclass(frozen=True)
class FeatureStack:
    """The wanted bands, in order; radii of the relative elevation in metres; rules of the indices.

    Raises UserError for a name given twice, for none at all, and for an inner radius that is not below the outer one.
    """

    names: Sequence[str]
    outer_radius: float = 100.0
    inner_radius: float = 0.0
    rules: IndexRules = USUAL

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
        sources = self._sources(scene)
        for name in self._indices_of(scene):
            if not self.rules.counts:
                check_units(name, [scene.bands[source] for source in sources[name]], scene.source)
        if self._terrain_of(scene):
            self._check_terrain(scene)
        light = brightest(scene) if self.rules.counts else None
        return tuple(scene.bands[name] if name in scene.bands else encoding_of(name, light) for name in self.names)

    def _sources(self, scene: Scene) -> dict[str, tuple[str, ...]]:
        lacking = [name for name in self.rules.needs if name not in scene.bands]
        if lacking:
            raise UserError(
                f"{scene.source}: indices are masked by band {lacking[0]}, which it has not; --qa-band and --dem-band"
                " say other names."
            )
        return require_sources(self.names, tuple(scene.bands), scene.source, self.rules.dem_band)

    def _check_terrain(self, scene: Scene) -> None:
        steps, computed = ground(scene.grid, scene.source), self._terrain_of(scene)
        if "relative_elevation" in computed:
            check_ring(pixel_radii(self.outer_radius, steps), pixel_radii(self.inner_radius, steps))

    def check_rules(self, scene: Scene) -> None:
        """Raise UserError where the rules speak of bands that are not stored, or mask where there is no index."""
        unknown = [name for name in self.rules.optional if name not in self.names]
        if unknown:
            raise UserError(f"--optional-bands: {unknown[0]} is none of the bands to store, {listing(self.names, 12)}.")
        if self.rules.needs and not self._masked(scene):
            raise UserError("--mask-indices-by-…: there is no index among --bands that could be masked.")

    def warn_of_sun(self, scenes: Sequence[Scene]) -> None:
        """Say in one line in which scenes hillshade is computed with the usual place of the sun."""
        dark = [scene.scene_id for scene in scenes if scene.sun is None and "hillshade" in self._terrain_of(scene)]
        if dark:
            usual = "the sun's place is unknown; azimuth %g, elevation %g degrees taken"
            _log.warning(f"%s: {usual}", listing(dark, 3), *DEFAULT_SUN)

    def warn_of_duplicates(self, scene: Scene) -> None:
        """Say, in one line per group, which of the bands are the same but for a factor and an offset."""
        sources = {name: needs for name, needs in self._sources(scene).items() if name not in self._terrain_of(scene)}
        light = brightest(scene) if self.rules.counts else BRIGHTEST
        for group in same_bands(sources, self.rules, light):
            _log.warning(
                "bands %s are the same but for a factor and an offset; one of them is enough", ", ".join(group)
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
        if all(name in scene.bands for name in self.names):
            return scene.read(self.names, window)
        result = np.empty((len(self.names), window.height, window.width), np.float32)
        sources = self._sources(scene)
        terrain = self._terrain_of(scene)
        plain = list(dict.fromkeys(need for name in self.names if name not in terrain for need in sources[name]))
        read = dict(zip(plain, scene.read(plain, window), strict=True)) if plain else {}
        elevation = self._compute_terrain(scene, window)
        for i, name in enumerate(self.names):
            if name in scene.bands:
                result[i] = read[name]
            elif name in terrain:
                result[i] = elevation[name]
            else:
                result[i] = compute_index(name, sources[name], read, scene, self.rules)
        return result

    def known(self, values: np.ndarray) -> np.ndarray:
        """Where all that matters has data, bool [h, w], of what `compute` gave; optional bands do not."""
        missing = np.zeros(values.shape[1:], bool)
        for i in self.required:  # band by band: no copy of all of them
            missing |= np.isnan(values[i])
        return ~missing

    @property
    def required(self) -> list[int]:
        """Positions of the bands whose missing pixels matter to labels."""
        return [i for i, name in enumerate(self.names) if name not in self.rules.optional]

    def sources(self, scene: Scene, window: Window, needs: Sequence[str], values: np.ndarray) -> dict[str, np.ndarray]:
        """Bands of the scene, float32 [h, w] each: taken of the values that `compute` gave for the window, or read."""
        found = {name: values[i] for i, name in enumerate(self.names) if name in needs}
        lacking = [name for name in dict.fromkeys(needs) if name not in found]
        return found | (dict(zip(lacking, scene.read(lacking, window), strict=True)) if lacking else {})

    def hidden(self, scene: Scene, window: Window, values: np.ndarray) -> np.ndarray | None:
        """Where indices of a window, of which `compute` gave values, are no data, bool [h, w]; None where none is."""
        needs = self.rules.needs
        if not needs or not self._masked(scene):
            return None
        return self.rules.hidden(self.sources(scene, window, needs, values))

    def masked(self, scene: Scene, values: np.ndarray, hidden: np.ndarray) -> np.ndarray:
        """Values [c, h, w] with no data in the indices where they are hidden, bool [h, w]; a new array."""
        result = values.copy()
        for i in self._masked(scene):
            result[i, hidden] = np.nan
        return result

    def _masked(self, scene: Scene) -> list[int]:
        """Positions of the indices that masks apply to: those in WM say themselves where water is."""
        computed = self._indices_of(scene)
        return [i for i, name in enumerate(self.names) if name in computed and not name.upper().endswith(WATER_MARK)]

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
        dem = scene.read([self.rules.dem_band], window.grown(halo))[0]
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
