"""Objects of a class map that goes by strip by strip: patches of one class, 8-connected, over any number of strips.

Only objects that touch the last row seen so far are remembered; every other one is finished and given out. Sums are of
whole numbers, so an object's size and probability do not depend on where the strips lie. Memory is that of a strip and
of the outlines of the objects that are not finished.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio.features
import shapely
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True)
class Found:
    """A finished object: class index, pixels, sum and maximum of its percents, and its outline in pixel coordinates.

    The outline is a MultiPolygon around the pixels, the same however the map was cut.
    """

    class_index: int
    pixels: int
    percents: int
    greatest: int
    outline: Any


@dataclass
class _Tally:
    """Class, pixels, sum and maximum of percents [n] of objects, and the parts of their outlines."""

    classes: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.int64]
    percents: npt.NDArray[np.int64]
    greatest: npt.NDArray[np.int64]
    parts: list[list[Any]]

    @classmethod
    def none(cls) -> "_Tally":
        nothing = np.zeros(0, np.int64)
        return cls(nothing, nothing, nothing, nothing, [])

    def chosen(self, places: npt.NDArray[Any]) -> "_Tally":
        parts = [self.parts[i] for i in np.arange(len(self.parts))[places]]
        return _Tally(self.classes[places], self.pixels[places], self.percents[places], self.greatest[places], parts)

    def merged(self, other: "_Tally", links: npt.NDArray[np.int64]) -> tuple["_Tally", npt.NDArray[np.int64]]:
        """Objects of both, those that `links` [n, 2] (of this one, of the other) join made one; and the new numbers of
        this one's objects, then of the other's.
        """
        own, total = len(self.parts), len(self.parts) + len(other.parts)
        graph = coo_array((np.ones(len(links), bool), (links[:, 0], links[:, 1] + own)), shape=(total, total))
        count, numbers = connected_components(graph, directed=False)
        classes, greatest = np.zeros(count, np.int64), np.zeros(count, np.int64)
        classes[numbers] = np.concatenate([self.classes, other.classes])
        np.maximum.at(greatest, numbers, np.concatenate([self.greatest, other.greatest]))
        pixels, percents = np.zeros(count, np.int64), np.zeros(count, np.int64)
        np.add.at(pixels, numbers, np.concatenate([self.pixels, other.pixels]))
        np.add.at(percents, numbers, np.concatenate([self.percents, other.percents]))
        parts: list[list[Any]] = [[] for _ in range(count)]
        for number, some in zip(numbers, self.parts + other.parts, strict=True):
            parts[number] += some
        return _Tally(classes, pixels, percents, greatest, parts), numbers.astype(np.int64)


@dataclass
class ObjectFinder:
    """Takes strips from the top, gives finished objects. `class_count` counts the background; smaller objects than
    `min_pixels` are left out.
    """

    class_count: int
    min_pixels: int = 1
    _open: _Tally = field(default_factory=_Tally.none)
    _last: npt.NDArray[np.int64] | None = None  # object of each pixel of the last row, -1 none
    _top: int = 0

    def take(self, classes: npt.NDArray[np.uint8], percents: npt.NDArray[np.uint8], last: bool) -> Iterator[Found]:
        """Objects that are finished with a strip: class indices [h, w], percents [k, h, w] (one band: of the
        foreground class; else of every class). `last` says that no other strip follows.
        """
        labels, label_classes = self._labelled(classes)
        strip = self._tally(labels, label_classes, classes, percents)
        links = self._links(labels, label_classes) if self._last is not None else np.zeros((0, 2), np.int64)
        whole, numbers = self._open.merged(strip, links)
        renumbered = np.append(numbers[len(self._open.parts) :], -1)  # of label i + 1; the last one: no object
        border = renumbered[labels[-1] - 1]
        is_open = np.zeros(len(whole.parts), bool)
        if not last:
            is_open[border[border >= 0]] = True
        wanted = is_open | (whole.pixels >= self.min_pixels)
        self._outline(labels, renumbered, wanted, whole.parts)
        yield from _finished(whole.chosen(~is_open & wanted))
        places = np.append(np.where(is_open, np.cumsum(is_open) - 1, -1), -1)
        self._open, self._last = whole.chosen(is_open), places[border]
        self._top += len(classes)

    def _labelled(self, classes: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Labels int32 [h, w] from 1 of the strip's objects, 0 elsewhere, and the class of each."""
        labels, kinds = np.zeros(classes.shape, np.int32), [np.zeros(0, np.int64)]
        total = 0
        for index in range(1, self.class_count):
            here = classes == index
            if here.any():
                some, count = ndimage.label(here, structure=EIGHT)
                labels[here] = some[here] + total
                total += count
                kinds.append(np.full(count, index, np.int64))
        return labels, np.concatenate(kinds)

    def _tally(
        self,
        labels: npt.NDArray[np.int32],
        kinds: npt.NDArray[np.int64],
        classes: npt.NDArray[np.uint8],
        percents: npt.NDArray[np.uint8],
    ) -> _Tally:
        count, inside = len(kinds), labels > 0
        numbers = labels[inside] - 1
        band = np.zeros(len(numbers), np.intp) if len(percents) == 1 else classes[inside].astype(np.intp)
        rows, columns = np.nonzero(inside)
        chances = percents[band, rows, columns].astype(np.int64)
        greatest = np.zeros(count, np.int64)
        np.maximum.at(greatest, numbers, chances)
        sums = np.bincount(numbers, chances, count).astype(np.int64)  # float64 holds whole numbers to 2^53
        return _Tally(kinds, np.bincount(numbers, minlength=count), sums, greatest, [[] for _ in range(count)])

    def _links(self, labels: npt.NDArray[np.int32], kinds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Pairs (open object, label - 1) of one class whose pixels touch over the border, corners included."""
        assert self._last is not None
        width = len(self._last)
        pairs = []
        for shift in (-1, 0, 1):
            above = self._last[max(0, -shift) : width - max(0, shift)]
            below = labels[0, max(0, shift) : width - max(0, -shift)].astype(np.int64) - 1
            both = (above >= 0) & (below >= 0)
            pairs.append(np.stack([above[both], below[both]], axis=1))
        links: npt.NDArray[np.int64] = np.unique(np.concatenate(pairs), axis=0)
        same: npt.NDArray[np.bool_] = self._open.classes[links[:, 0]] == kinds[links[:, 1]]
        return links[same]

    def _outline(
        self,
        labels: npt.NDArray[np.int32],
        renumbered: npt.NDArray[np.int64],
        wanted: npt.NDArray[np.bool_],
        parts: list[list[Any]],
    ) -> None:
        """Add the outlines of the strip's labels to the parts of their objects."""
        kept = np.append(wanted, False)[renumbered][labels - 1]
        down = rasterio.Affine.translation(0, self._top)
        for shape, label in rasterio.features.shapes(labels, mask=kept, connectivity=4, transform=down):
            parts[renumbered[int(label) - 1]].append(shapely.geometry.shape(shape))


def _finished(tally: _Tally) -> Iterator[Found]:
    for i, parts in enumerate(tally.parts):
        sums = int(tally.pixels[i]), int(tally.percents[i]), int(tally.greatest[i])
        yield Found(int(tally.classes[i]), *sums, one_outline(parts))


def one_outline(parts: Sequence[Any]) -> Any:
    """The one MultiPolygon, in a form of its own, of polygons along pixel edges that do not overlap."""
    whole = shapely.union_all(shapely.make_valid(parts))
    polygons = [_straight(part) for part in shapely.get_parts(whole) if part.geom_type == "Polygon"]
    return shapely.normalize(shapely.MultiPolygon(polygons))


def _straight(polygon: Any) -> Any:
    return shapely.Polygon(_corners(polygon.exterior), [_corners(ring) for ring in polygon.interiors])


def _corners(ring: Any) -> npt.NDArray[np.float64]:
    """Points [n, 2] of a closed ring at which it turns: where strips met, there are others."""
    points: npt.NDArray[np.float64] = shapely.get_coordinates(ring)[:-1]
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns: npt.NDArray[np.bool_] = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return points[turns]
