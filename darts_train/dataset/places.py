"""The middle of every patch on the globe, as far as a set knows it."""

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray


def patch_centres(metadata: pd.DataFrame) -> NDArray[np.float64]:
    """Longitude and latitude, float64 [n, 2], of the rows of a set; NaN where there is none, or none to be read."""
    centres = np.full((len(metadata), 2), np.nan)
    if "geometry" not in metadata:
        return centres
    known = np.flatnonzero(metadata["geometry"].notna().to_numpy(bool))
    shapes = shapely.from_wkb(metadata["geometry"].to_numpy(object)[known], on_invalid="ignore")
    points = shapely.centroid(shapes)
    centres[known] = np.stack([shapely.get_x(points), shapely.get_y(points)], axis=1)
    return centres
