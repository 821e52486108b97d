"""Samples that show the same ground, by the footprints of their patches (WKB, EPSG:4326)."""

import numpy as np
import pandas as pd

from darts_train.dataset.grouping.units import Units

_BLOCK = 8192  # pairs that are cut at once
_DATE_LINE = 170.0  # degrees; footprints beyond may have a neighbour on the other side


def unit_shapes(metadata: pd.DataFrame, units: Units) -> np.ndarray:
    """The ground of each unit: the union of its patches' footprints, shapely geometry, object [len(units)].

    None where none of its patches has a place. Footprints across the date line have longitudes up to 360 then.
    """
    import shapely  # not needed for training, which imports this package

    shapes = np.full(len(units), None, object)
    if "geometry" not in metadata:
        return shapes
    of_patch = shapely.from_wkb(metadata["geometry"].to_numpy(object), on_invalid="ignore")
    known = np.isfinite(shapely.bounds(of_patch)).all(axis=1)
    for number, rows in enumerate(units.rows):
        parts = of_patch[rows[known[rows]]]
        if len(parts):
            shapes[number] = shapely.union_all(_sound(_unwrapped(parts)))
    return shapes


def overlapping_pairs(shapes: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of shapes whose common area is at least `least` of the smaller one's: int64 [m] twice, one < other.

    Areas are taken where both lie: longitudes count by the cosine of the latitude (an equal-area, sinusoidal map around
    the pair), which is exact but for the curvature of the edges. Shapes without area overlap nothing.
    """
    import shapely

    rows = np.flatnonzero([shape is not None for shape in shapes])
    placed = shapes[rows]
    tree = shapely.STRtree(placed)
    found = []
    for turn in (0.0, 360.0):
        chosen = np.arange(len(rows)) if not turn else np.flatnonzero(shapely.bounds(placed)[:, 0] < -_DATE_LINE)
        turned = placed[chosen] if not turn else _moved(placed[chosen], turn)
        one, other = tree.query(turned, predicate="intersects")
        keep = chosen[one] < other if not turn else chosen[one] != other
        one, other = one[keep], other[keep]
        for at in range(0, len(one), _BLOCK):
            pair = slice(at, at + _BLOCK)
            real = _shared(turned[one[pair]], placed[other[pair]]) >= least
            found.append(np.stack([chosen[one[pair]][real], other[pair][real]]))
    pairs = np.sort(np.concatenate([np.empty((2, 0), np.int64), *found], axis=1), axis=0)
    one, other = rows[np.unique(pairs, axis=1)]
    return one, other


def _shared(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Common area over that of the smaller one, float64 [m]; 0 where a shape has no area."""
    import shapely

    box = shapely.bounds(first)
    middle = (box[:, 0] + box[:, 2]) / 2
    first, second = (_flat(shapes, middle) for shapes in (first, second))
    common = shapely.area(shapely.intersection(first, second))
    smaller = np.minimum(shapely.area(first), shapely.area(second))
    return np.asarray(np.divide(common, smaller, out=np.zeros(len(common)), where=smaller > 0))


def _flat(shapes: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Shapes on the sinusoidal map whose straight meridian is middle[i] for shape i; degrees of latitude."""
    import shapely

    points, owner = shapely.get_coordinates(shapes, return_index=True)
    east = (points[:, 0] - middle[owner]) * np.cos(np.radians(points[:, 1]))
    flat = np.asarray(shapely.set_coordinates(shapes.copy(), np.stack([east, points[:, 1]], axis=1)), object)
    return _sound(flat)


def _sound(shapes: np.ndarray) -> np.ndarray:
    import shapely

    return np.asarray(np.where(shapely.is_valid(shapes), shapes, shapely.make_valid(shapes)), object)


def _unwrapped(shapes: np.ndarray) -> np.ndarray:
    """Footprints of one unit; where they seem wider than half the earth, they cross the date line: western ones go on
    beyond 180 degrees.
    """
    import shapely

    box = shapely.bounds(shapes)
    if box[:, 2].max() - box[:, 0].min() <= 180:
        return shapes
    points = shapely.get_coordinates(shapes)
    return np.asarray(shapely.set_coordinates(shapes.copy(), points + 360.0 * (points < 0) * [1, 0]), object)


def _moved(shapes: np.ndarray, degrees: float) -> np.ndarray:
    import shapely

    points = shapely.get_coordinates(shapes)
    return np.asarray(shapely.set_coordinates(shapes.copy(), points + np.array([degrees, 0.0])), object)
