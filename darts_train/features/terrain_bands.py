"""The bands of the terrain by name: what computes each, and how far it looks beyond a pixel.

`relative_elevation` and `hillshade` are not among them: they depend on radii and on the sun.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from darts_train.features import ruggedness, terrain
from darts_train.features.blocks import by_rows
from darts_train.features.ground import Ground


class TerrainBand(NamedTuple):
    """`compute` takes the elevation with `margin` pixels more on each side, and the size of a pixel."""

    margin: int
    compute: Callable[[np.ndarray, Ground], np.ndarray]

    def of(self, dem: np.ndarray, ground: Ground) -> np.ndarray:
        """The band as float32 [h, w], of elevation [h + 2 margin, w + 2 margin], m."""
        return by_rows(lambda part: self.compute(part, ground), [dem], self.margin)


TERRAIN = {
    "slope": TerrainBand(1, terrain.slope),
    "aspect": TerrainBand(1, terrain.aspect),
    "curvature": TerrainBand(1, terrain.curvature),
    "tri": TerrainBand(ruggedness.RADIUS, lambda dem, _: ruggedness.terrain_ruggedness(dem)),
    "vrm": TerrainBand(ruggedness.RADIUS + 1, ruggedness.vector_ruggedness),
    "dissection": TerrainBand(ruggedness.RADIUS, lambda dem, _: ruggedness.dissection(dem)),
}
