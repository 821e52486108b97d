"""Slope, aspect, hillshade and curvature of an elevation model.

Gradients are Horn's (1981), 3 × 3. All functions take the elevation with one pixel more on each side,
float [h + 2, w + 2] in metres, and return float64 [h, w]; NaN anywhere in the 3 × 3 gives NaN.
"""

import numpy as np

from darts_train.features.ground import Ground


def horn(dem: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Change of elevation per pixel along columns and along rows, m. Source: Horn 1981, doi 10.1109/PROC.1981.11918."""
    z = dem.astype(np.float64)
    columns = z[:, 2:] - z[:, :-2]
    rows = z[2:] - z[:-2]
    by_column = (columns[:-2] + 2 * columns[1:-1] + columns[2:]) / 8
    by_row = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 8
    middle = np.where(np.isnan(z[1:-1, 1:-1]), np.nan, 0.0)  # the formula passes over the centre
    return by_column + middle, by_row + middle


def slope(dem: np.ndarray, ground: Ground) -> np.ndarray:
    """Steepness in degrees, 0 to 90."""
    east, north = ground.slopes(*horn(dem))
    return np.asarray(np.degrees(np.arctan(np.sqrt(east**2 + north**2))))


def aspect(dem: np.ndarray, ground: Ground) -> np.ndarray:
    """Direction in which the ground falls: degrees clockwise from true north, 0 to 360; 0 where it is flat.

    Flat ground has no direction; it gets the value that models trained with −1 clipped to [0, 360] have seen.
    """
    east, north = ground.slopes(*horn(dem))
    direction = np.degrees(np.arctan2(-east, -north))  # −180 to 180
    direction += np.where(direction < 0, 360.0, 0.0)
    return np.where((east == 0) & (north == 0), 0.0, direction)


def hillshade(dem: np.ndarray, ground: Ground, azimuth: float, elevation: float) -> np.ndarray:
    """Share of light, 0 to 1: (cosine between the sun and the normal of the ground + 1) / 2, as DARTS models expect it.

    `azimuth` (clockwise from true north) and `elevation` of the sun in degrees. Flat ground: (sin elevation + 1) / 2.
    """
    east, north = ground.slopes(*horn(dem))
    angle, height = np.radians(azimuth), np.radians(elevation)
    towards = -(east * np.sin(angle) + north * np.cos(angle))  # of the normal (−east, −north, 1)
    cosine = (np.sin(height) + np.cos(height) * towards) / np.sqrt(1 + east**2 + north**2)
    return np.asarray((cosine + 1) / 2)


def curvature(dem: np.ndarray, ground: Ground) -> np.ndarray:
    """−2 (D + E) · 100 per m, D and E half the second differences along rows and columns; positive on ridges.

    Source: Zevenbergen and Thorne 1987, doi 10.1002/esp.3290120107, in the convention of ESRI's Curvature.
    """
    z = dem.astype(np.float64)
    centre = z[1:-1, 1:-1]
    width, height = ground.cell
    across = (z[1:-1, 2:] + z[1:-1, :-2]) / 2 - centre
    along = (z[2:, 1:-1] + z[:-2, 1:-1]) / 2 - centre
    return -200 * (across / width**2 + along / height**2)
