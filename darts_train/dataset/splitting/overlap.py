"""Where patches lie on the ground: scenes that show the same, and how far two parts of a split are apart."""

from collections import Counter

import numpy as np
import pandas as pd

_LEAST = 1e-3  # share of the smaller patch: neighbours that touch do not overlap
_EARTH_KM = 6371.0088  # mean radius (IUGG)


def overlapping_scenes(metadata: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Pairs of scenes whose patches lie over each other, with the number of pairs of patches; most first.

    Args:
        metadata: rows of a set, with sample_id and geometry (WKB, EPSG:4326; None without georeference).

    Returns:
        Empty where the set says no geometry, or nothing overlaps.
    """
    import shapely  # not needed for training, which imports this package

    if "geometry" not in metadata:
        return {}
    placed = metadata[metadata["geometry"].notna()]
    shapes = shapely.from_wkb(placed["geometry"].to_numpy(object))
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    names = placed["sample_id"].to_numpy(object)
    apart = (one < other) & (names[one] != names[other])
    one, other = one[apart], other[apart]
    shared = shapely.area(shapely.intersection(shapes[one], shapes[other]))
    smaller = np.minimum(shapely.area(shapes[one]), shapely.area(shapes[other]))
    real = shared > _LEAST * smaller
    pairs = Counter(tuple(sorted(pair)) for pair in zip(names[one[real]], names[other[real]], strict=True))
    return {(pair[0], pair[1]): count for pair, count in pairs.most_common()}


def patch_centres(metadata: pd.DataFrame) -> np.ndarray | None:
    """Centres of all patches on the unit sphere, float64 [n, 3]; None unless every patch has a georeference."""
    import shapely

    if "geometry" not in metadata or metadata["geometry"].isna().any():
        return None
    centres = shapely.centroid(shapely.from_wkb(metadata["geometry"].to_numpy(object)))
    longitude, latitude = np.radians(shapely.get_x(centres)), np.radians(shapely.get_y(centres))
    if not (np.isfinite(longitude).all() and np.isfinite(latitude).all()):
        return None
    return np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )


def nearest_km(centres: np.ndarray | None, a: np.ndarray, b: np.ndarray) -> float | None:
    """Least distance between the centre of a patch of `a` and one of `b`, km along the great circle.

    None, which is "unknown" and no number, without a georeference (see `patch_centres`), and for an empty part.
    """
    from scipy.spatial import cKDTree

    if centres is None or not len(a) or not len(b):
        return None
    chord = float(np.min(cKDTree(centres[b]).query(centres[a])[0]))
    return 2 * float(np.arcsin(min(chord / 2, 1.0))) * _EARTH_KM
