"""What is done to a map by objects, which may reach over all strips: holes are filled, small and cut objects dropped.

The strips go by twice: first every component is measured, then each is kept or changed. Objects are 8-connected pixels
of one class; holes are 4-connected pixels of background.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from darts_train.inference.writing.rasters import NODATA
from darts_train.raster.components import StripComponents, Tally, with_rows_around

Classes = NDArray[np.uint8]
Strips = Callable[[], Iterator[Classes]]  # the strips of a map [h, w] from the top, anew with each call
_OUTSIDE = 254  # stands for what lies beyond the map; no class index reaches it


def fill_holes(strips: Strips, largest: int, classes: int) -> Iterator[Classes]:
    """Give holes of at most `largest` pixels to the class that surrounds them.

    A hole is background that meets neither no data nor the edge of the map. It goes to the foreground class that most
    of its outline is of, the lowest of equal ones. Gives the strips again, changed.
    """
    holes, outline, sizes = StripComponents(4), Tally(classes), Tally(2)  # columns of sizes: pixels, and those not shut
    for _, frame in with_rows_around(strips(), _OUTSIDE):
        inner = frame[1:-1]
        labels = holes.add((inner == 0).view(np.uint8))
        sizes.add(labels.ravel())
        for beside in _four_beside(frame):
            near = labels > 0
            open_side = near & ((beside == NODATA) | (beside == _OUTSIDE))
            sizes.add(labels[open_side], 1)
            for index in range(1, classes):
                outline.add(labels[near & (beside == index)], index)
    component = holes.component()
    measured = sizes.of_components(component)
    filled = (measured[:, 0] <= largest) & (measured[:, 1] == 0)
    filled[0] = False
    new = np.where(filled, outline.of_components(component).argmax(axis=1), 0).astype(np.uint8)
    for number, inner in enumerate(strips()):
        given = new[holes.of(number, (inner == 0).view(np.uint8))]
        yield np.where(given > 0, given, inner)


def drop_objects(strips: Strips, smallest: int, touching: bool) -> Iterator[Classes]:
    """Turn objects of fewer than `smallest` pixels into background, and, where `touching`, those beside no data.

    The edge of the map is not no data. Gives the strips again, changed.
    """
    objects, sizes = StripComponents(8), Tally(2)  # columns: pixels, and those beside no data
    for _, frame in with_rows_around(strips(), _OUTSIDE):
        labels = objects.add(_foreground(frame[1:-1]))
        sizes.add(labels.ravel())
        if touching:
            sizes.add(labels[_beside_nodata(frame)], 1)
    measured = sizes.of_components(objects.component())
    dropped = (measured[:, 0] < smallest) | (measured[:, 1] > 0)
    dropped[0] = False
    for number, inner in enumerate(strips()):
        yield np.where(dropped[objects.of(number, _foreground(inner))], np.uint8(0), inner)


def _foreground(classes: Classes) -> Classes:
    return np.where(classes == NODATA, np.uint8(0), classes)


def _four_beside(frame: Classes) -> Iterator[Classes]:
    """What lies above, below, left and right of each pixel of a frame's inner rows."""
    sides = np.pad(frame, ((0, 0), (1, 1)), constant_values=_OUTSIDE)
    yield sides[:-2, 1:-1]
    yield sides[2:, 1:-1]
    yield sides[1:-1, :-2]
    yield sides[1:-1, 2:]


def _beside_nodata(frame: Classes) -> NDArray[np.bool_]:
    """Which pixels of a frame's inner rows have no data among their eight neighbours."""
    missing = np.pad(frame == NODATA, ((0, 0), (1, 1)))
    across = missing[:, :-2] | missing[:, 1:-1] | missing[:, 2:]
    beside: NDArray[np.bool_] = across[:-2] | across[1:-1] | across[2:]
    return beside
