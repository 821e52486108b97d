"""Where patches lie on the earth: which show the same ground in different scenes, and how far two parts are apart.

Footprints are those of metadata.parquet, longitude and latitude. Distances are measured on a sphere, at most 0.5 % off.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

LEAST = 1e-3  # share of the smaller patch: neighbours that touch do not overlap
EARTH_METRES = 6_371_008.8  # mean radius (IUGG)
_BLOCK = 4096  # patches, or pairs of them, that are compared at once
_SLACK = 1e-9  # chords; a sixth of an inch


@dataclass(frozen=True, eq=False)
class Ground:
    """Footprints of all patches of a set.

    Attributes:
        shapes: shapely geometries, object [n]; None where a patch has no place.
        scene: number of the scene, int64 [n].
    """

    shapes: np.ndarray
    scene: np.ndarray

    @classmethod
    def of(cls, metadata: pd.DataFrame) -> "Ground":
        """Footprints of a set's rows (geometry: WKB, EPSG:4326, or None; sample_id)."""
        import shapely  # not needed for most training, which imports this package

        scene = np.asarray(pd.factorize(metadata["sample_id"])[0])
        if "geometry" not in metadata:
            return cls(np.full(len(metadata), None, object), scene)
        shapes = shapely.from_wkb(metadata["geometry"].to_numpy(object), on_invalid="ignore")
        finite = np.isfinite(shapely.bounds(shapes)).all(axis=1)  # NaN for nothing and for an empty one
        shapes[~finite] = None
        return cls(shapes, scene)

    @cached_property
    def known(self) -> np.ndarray:
        """Whether a patch has a place, bool [n]."""
        return np.array([shape is not None for shape in self.shapes], bool)

    def shared(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Patches of `a` whose ground a patch of `b` from another scene shows too: int64, ascending.

        Patches without a place show no known ground.
        """
        one, other = self._overlapping
        ours, theirs = np.zeros((2, len(self.shapes)), bool)
        ours[np.asarray(a, np.int64)], theirs[np.asarray(b, np.int64)] = True, True
        return np.union1d(one[ours[one] & theirs[other]], other[ours[other] & theirs[one]])

    @cached_property
    def _overlapping(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of patches of different scenes that lie over each other."""
        found = list(self._overlaps())
        one, other = (np.concatenate([np.empty(0, np.int64), *(pair[i] for pair in found)]) for i in (0, 1))
        return one, other

    def _overlaps(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        import shapely

        rows = np.flatnonzero(self.known)
        tree = shapely.STRtree(self.shapes[rows])
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            one, other = tree.query(self.shapes[block], predicate="intersects")
            one, other = block[one], rows[other]
            apart = (one < other) & (self.scene[one] != self.scene[other])
            one, other = one[apart], other[apart]
            first, second = self.shapes[one], self.shapes[other]
            smaller = np.minimum(shapely.area(first), shapely.area(second))
            real = shapely.area(shapely.intersection(first, second)) > LEAST * smaller
            yield one[real], other[real]

    def metres(self, a: np.ndarray, b: np.ndarray) -> float | None:
        """Least distance from a footprint of `a` to one of `b`, 0 where they touch.

        None, which is "unknown" and no number, where a patch of either has no place, or a part is empty.
        """
        a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
        if not len(a) or not len(b) or not (self.known[a].all() and self.known[b].all()):
            return None
        return 2 * EARTH_METRES * float(np.arcsin(min(self._least_chord(a, b) / 2, 1.0)))

    def _least_chord(self, a: np.ndarray, b: np.ndarray) -> float:
        """The distance on the unit sphere, through it.

        Patches are asked in the order of the distance of their centres, and the search ends where no footprint of its
        size can be nearer than what was found.
        """
        from scipy.spatial import cKDTree

        centres, radii = self._discs
        tree: Any = cKDTree(centres[b])
        near, at = tree.query(centres[a])
        order = np.argsort(near, kind="stable")
        most = radii[b].max()
        best = self._chords(a[order[:_BLOCK]], b[at[order[:_BLOCK]]]).min()
        for start in range(0, len(a), _BLOCK):
            block = order[start : start + _BLOCK]
            block = block[near[block] - radii[a[block]] - most < best + _SLACK]
            if not best or not len(block):
                break
            reach = best + radii[a[block]] + most + _SLACK
            found = tree.query_ball_point(centres[a[block]], reach)
            ours = np.repeat(a[block], [len(rows) for rows in found])
            theirs = b[np.concatenate([np.empty(0, np.int64), *(np.asarray(rows, np.int64) for rows in found)])]
            for first in range(0, len(ours), _BLOCK):
                pairs = slice(first, first + _BLOCK)
                best = min(best, self._chords(ours[pairs], theirs[pairs]).min())
        return float(best)

    @cached_property
    def _discs(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres on the unit sphere [n, 3], and how far corners are from them [n]; NaN without a place."""
        import shapely

        degrees, owner = shapely.get_coordinates(self.shapes, return_index=True)
        points = on_sphere(degrees)
        sums = np.stack([np.bincount(owner, points[:, i], len(self.shapes)) for i in range(3)], axis=1)
        with np.errstate(invalid="ignore"):
            centres = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        radii = np.zeros(len(self.shapes))
        np.maximum.at(radii, owner, np.linalg.norm(points - centres[owner], axis=1))
        return centres, radii

    def _chords(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Distances of pairs of footprints, each pair drawn on the plane that touches the sphere between the two.

        The plane shows distances of points to both sides of where it touches as chords; no pole and no date line.
        """
        import shapely

        centres, _ = self._discs
        middle = centres[one] + centres[other]
        middle /= np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1e-12)
        axis = np.eye(3)[np.argmin(abs(middle), axis=1)]
        right = np.cross(middle, axis)
        right /= np.linalg.norm(right, axis=1, keepdims=True)
        up = np.cross(middle, right)
        flat = [_on_plane(self.shapes[rows], right, up) for rows in (one, other)]
        return np.asarray(shapely.distance(*flat), np.float64)


def on_sphere(degrees: np.ndarray) -> np.ndarray:
    """Longitude and latitude [m, 2] as points of the unit sphere [m, 3]."""
    longitude, latitude = np.radians(degrees[:, :2]).T
    return np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )


def _on_plane(shapes: np.ndarray, right: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Shapes as their plane shows them: plane i is spanned by right[i] and up[i]."""
    import shapely

    degrees, owner = shapely.get_coordinates(shapes, return_index=True)
    points = on_sphere(degrees)
    plane = np.stack([(points * right[owner]).sum(1), (points * up[owner]).sum(1)], axis=1)
    return np.asarray(shapely.set_coordinates(shapes.copy(), plane), object)
