"""How broken the ground is, over a square of (2 `radius` + 1)² pixels around each.

All functions take the elevation, float [h + 2 m, w + 2 m] in metres with the margin m that they need, and return
float64 [h, w]; NaN anywhere in what is looked at gives NaN. Sums run in one order for every pixel, so values do not
depend on the window.
"""

from collections.abc import Callable
from functools import reduce

import numpy as np

from darts_train.features.ground import Ground
from darts_train.features.terrain import horn

RADIUS = 1  # pixels: 3 × 3, in which all three were published


def terrain_ruggedness(dem: np.ndarray, radius: int = RADIUS) -> np.ndarray:
    """Terrain ruggedness index, m: root of the sum of the squared differences to all other pixels of the square.

    Margin: `radius`. Source: Riley, DeGloria and Elliot 1999, Intermountain Journal of Sciences 5, 23–27.
    """
    z = dem.astype(np.float64)
    height, width = z.shape[0] - 2 * radius, z.shape[1] - 2 * radius
    centre = z[radius:, radius:][:height, :width]
    total = np.zeros((height, width))
    for row in range(2 * radius + 1):
        for column in range(2 * radius + 1):
            total += (z[row:, column:][:height, :width] - centre) ** 2
    return np.asarray(np.sqrt(total))


def vector_ruggedness(dem: np.ndarray, ground: Ground, radius: int = RADIUS) -> np.ndarray:
    """Vector ruggedness measure, 0 (a plane, however steep) to 1: 1 − |sum of the unit normals| / their number.

    Margin: `radius` + 1, one more for the gradients. Source: Sappington, Longshore and Thompson 2007,
    doi 10.2193/2005-723.
    """
    east, north = ground.slopes(*horn(dem))
    up = 1 / np.sqrt(1 + east**2 + north**2)
    length = np.sqrt(sum(_over_square(part, radius, np.add) ** 2 for part in (east * up, north * up, up)))
    return np.maximum(0.0, 1 - length / (2 * radius + 1) ** 2)


def dissection(dem: np.ndarray, radius: int = RADIUS) -> np.ndarray:
    """Dissection index, (highest − lowest) / highest; NaN where the highest is not above 0 m.

    Margin: `radius`. Source: Nir 1957, doi 10.2307/211866.
    """
    z = dem.astype(np.float64)
    highest, lowest = _over_square(z, radius, np.maximum), _over_square(z, radius, np.minimum)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(highest > 0, (highest - lowest) / highest, np.nan)


def _over_square(values: np.ndarray, radius: int, both: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """`both` (a sum, a maximum) over the square of each pixel but the outermost `radius` ones."""
    side = 2 * radius + 1
    height, width = values.shape[0] - side + 1, values.shape[1] - side + 1
    rows = reduce(both, (values[k : k + height] for k in range(side)))
    return reduce(both, (rows[:, k : k + width] for k in range(side)))
