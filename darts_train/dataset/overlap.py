"""Patches of different scenes over the same ground: no fault, but two parts of a split may then share places."""

from collections import Counter

import numpy as np
import pandas as pd

_LEAST = 1e-3  # share of the smaller patch: neighbours that touch do not overlap


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
