"""Objects and outlines of one scene, compared window by window: no scene is ever held whole.

The rules are those of `metrics.instance` and `metrics.boundary`, on whole scenes: objects reach over all strips, as
components over strips are joined; a band along an outline is found in blocks read with its width around them. What is
held are numbers for each object and for each pair of objects that share a pixel.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from darts_train.inference.evaluating.counting import Classes, Scene
from darts_train.metrics.boundary import boundary, boundary_width
from darts_train.metrics.instance import Matched, assign
from darts_train.raster.band import IGNORE_INDEX
from darts_train.raster.components import Numbers, StripComponents, Tally
from darts_train.raster.patches import Window

_BLOCK = 1024  # least side of a block in which outlines are looked at, pixels


@dataclass
class _Side:
    """Objects of the truth, or of the map: their pixels, classes, and sums of probabilities."""

    components: StripComponents = field(default_factory=StripComponents)
    pixels: Tally = field(default_factory=Tally)
    chances: Tally = field(default_factory=lambda: Tally(2, np.float64))  # columns: class times pixels, probabilities

    def add(self, keys: Classes, chances: NDArray[np.floating] | None = None) -> Numbers:
        labels = self.components.add(keys)
        flat = labels.ravel()
        self.pixels.add(flat)
        self.chances.add(flat, 0, keys.ravel())
        if chances is not None:
            self.chances.add(flat, 1, chances.ravel())
        return labels

    def measured(self) -> tuple[Numbers, Numbers, NDArray[np.float64]]:
        """Pixels, class and mean probability of each object, [n]."""
        component = self.components.component()
        pixels = self.pixels.of_components(component)[1:, 0]
        sums = self.chances.of_components(component)[1:]
        return pixels, np.rint(sums[:, 0] / pixels).astype(np.int64), sums[:, 1] / pixels


class ObjectComparison:
    """Matches the objects of a scene; strips are added from the first row to the last."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._truth, self._found, self._whole = _Side(), _Side(), _Side()
        self._hidden = Tally()  # ignored pixels of whole predicted objects
        self._shared: list[Numbers] = []  # [3, n]: true label, found label, pixels
        self._pieces: list[Numbers] = []  # [2, n]: found label, label of the whole that it is of

    def add(self, truth: Classes, whole: Classes, chances: NDArray[np.floating] | None) -> None:
        """Take a strip: true classes (IGNORE_INDEX: counts nowhere), predicted ones everywhere, probabilities [h, w]
        of the predicted class.
        """
        ignored = truth == IGNORE_INDEX
        true = self._truth.add(np.where(ignored, np.uint8(0), truth))
        found = self._found.add(np.where(ignored, np.uint8(0), whole), chances)
        all_of = self._whole.add(whole)
        self._hidden.add(all_of[ignored])
        both = (true > 0) & (found > 0) & (truth == whole)
        self._shared.append(_pairs(true[both], found[both], counted=True))
        self._pieces.append(_pairs(found[found > 0], all_of[found > 0]))

    def matched(self, classes: int) -> list[Matched]:
        """What was found, made up and missed of each foreground class; see `metrics.instance` for the rules."""
        true_area, true_class, _ = self._truth.measured()
        area, found_class, score = self._found.measured()
        true_ids, ids, shared = self._overlaps()
        iou = shared / (true_area[true_ids] + area[ids] - shared)
        partner = assign(true_ids, ids, iou, self.threshold, (len(true_area), len(area)))
        hits = partner >= 0
        counted = hits | ~self._mostly_ignored(len(area))
        missed = np.bincount(true_class, minlength=classes) - np.bincount(found_class[hits], minlength=classes)
        return [
            Matched(
                score[counted & (found_class == index)].astype(np.float32),
                hits[counted & (found_class == index)],
                int(missed[index]),
            )
            for index in range(1, classes)
        ]

    def _overlaps(self) -> tuple[Numbers, Numbers, Numbers]:
        """Pairs of objects that share a pixel, numbered from 0, and how many they share."""
        labels = np.concatenate([np.zeros((3, 0), np.int64), *self._shared], axis=1)
        one, other = self._truth.components.component(), self._found.components.component()
        pairs, place = np.unique(np.stack([one[labels[0]], other[labels[1]]]), axis=1, return_inverse=True)
        shared = np.bincount(place.ravel(), labels[2], minlength=pairs.shape[1]).astype(np.int64)
        return pairs[0] - 1, pairs[1] - 1, shared

    def _mostly_ignored(self, count: int) -> NDArray[np.bool_]:
        """Of which pieces the whole predicted object is ignored by more than half: bool [count]."""
        component = self._whole.components.component()
        size, hidden = (tally.of_components(component)[:, 0] for tally in (self._whole.pixels, self._hidden))
        labels = np.concatenate([np.zeros((2, 0), np.int64), *self._pieces], axis=1)
        of_piece = np.zeros(count + 1, np.int64)
        of_piece[self._found.components.component()[labels[0]]] = component[labels[1]]
        mostly: NDArray[np.bool_] = 2 * hidden[of_piece[1:]] > size[of_piece[1:]]
        return mostly


def _pairs(one: Numbers, other: Numbers, counted: bool = False) -> Numbers:
    """The different pairs of labels [n] as [2, pairs], or [3, pairs] with how often each comes."""
    if not len(one):
        return np.zeros((2 + counted, 0), np.int64)
    width = int(other.max()) + 1
    pairs, counts = np.unique(one * width + other, return_counts=True)
    rows = [pairs // width, pairs % width, counts][: 2 + counted]
    return np.stack(rows).astype(np.int64)


def compare_objects(scene: Scene, threshold: float) -> list[Matched]:
    """Match the objects of a scene, of each foreground class; a score is 1 where the map has no probabilities."""
    comparison = ObjectComparison(threshold)
    for window in scene.strips():
        _, truth, _ = scene.read(window)
        whole = scene.whole(window)
        comparison.add(truth, whole, _of_predicted(scene, window, whole))
    return comparison.matched(scene.classes)


def _of_predicted(scene: Scene, window: Window, whole: Classes) -> NDArray[np.floating]:
    """The probability of the predicted class, float32 [h, w]; 1 without probabilities."""
    if scene.prediction.probabilities is None:
        return np.ones(whole.shape, np.float32)
    chances, known = scene.prediction.chances(window)
    bands = np.zeros(whole.shape, np.int64) if len(chances) == 1 else whole.astype(np.int64)
    chosen = np.take_along_axis(chances, bands[None], axis=0)[0]
    return np.where(known, np.nan_to_num(chosen), 0)


def compare_outlines(scene: Scene) -> NDArray[np.int64]:
    """Pixels in both bands along the outlines, and in either: int64 [k - 1, 2] of the foreground classes."""
    width = boundary_width((scene.grid.height, scene.grid.width))
    total = np.zeros((scene.classes - 1, 2), np.int64)
    for inner, outer in _blocks(scene, width):
        found, truth, _ = scene.read(outer)
        place = inner.slices(outer)
        for index in range(1, scene.classes):
            true_edge, edge = (boundary(classes == index, width)[place] for classes in (truth, found))
            total[index - 1] += (int((true_edge & edge).sum()), int((true_edge | edge).sum()))
    return total


def _blocks(scene: Scene, halo: int) -> Iterator[tuple[Window, Window]]:
    """Blocks that cover the scene once, and what is read for each."""
    side, extent = max(_BLOCK, 2 * halo), scene.grid.extent
    for y, x in itertools.product(range(0, extent.height, side), range(0, extent.width, side)):
        inner = Window(x, y, side, side).intersection(extent)
        yield inner, inner.grown(halo).intersection(extent)
