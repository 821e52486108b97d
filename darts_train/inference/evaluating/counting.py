"""What one scene adds to every score, counted strip by strip: pixels, probabilities, tiles with errors."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from darts_train.inference.map_files import MapFile
from darts_train.inference.writing.rasters import NODATA
from darts_train.raster.band import IGNORE_INDEX
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.raster.strips import strips
from darts_train.scenes.labels import Labels

STRIP_PIXELS = 2**22
PERCENT_BINS, UNIT_BINS = 100, 1024
Classes = NDArray[np.uint8]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Scene:
    """A map and its labels, read window by window as they are compared."""

    name: str
    region: str
    prediction: MapFile
    truth: Labels
    threshold: float | None
    as_background: bool  # labelled pixels without a prediction count as background, not at all else

    @property
    def grid(self) -> Grid:
        """Size and place."""
        return self.prediction.grid

    @property
    def classes(self) -> int:
        """Number of classes, the background among them."""
        return len(self.prediction.names)

    def read(self, window: Window) -> tuple[Classes, Classes, int]:
        """Predicted and true classes uint8 [h, w], both IGNORE_INDEX where nothing counts; labelled pixels without a
        prediction.
        """
        found, truth = self.prediction.read(window, self.threshold), self.truth.read(window)
        missing = (found == NODATA) & (truth != IGNORE_INDEX)
        if self.as_background:
            found[missing] = 0
        else:
            truth[missing] = IGNORE_INDEX
        found[truth == IGNORE_INDEX] = IGNORE_INDEX
        return found, truth, int(missing.sum())

    def whole(self, window: Window) -> Classes:
        """Predicted classes uint8 [h, w], whether something is labelled there or not; no data is background."""
        found = self.prediction.read(window, self.threshold)
        return np.where(found == NODATA, np.uint8(0), found)

    def strips(self, multiple: int = 1) -> Iterator[Window]:
        """Windows of full width that cover the scene, a multiple of so many rows each."""
        rows = max(1, STRIP_PIXELS // self.grid.width // multiple) * multiple
        return (strip.inner for strip in strips(self.grid.width, self.grid.height, rows))


@dataclass(frozen=True, order=True)
class Tile:
    """A tile of a scene, by its errors: the worst comes first when tiles are sorted."""

    rank: tuple[int, str, int, int]  # minus the wrong pixels, then the place
    scene: str = field(compare=False)
    window: Window = field(compare=False)
    counts: dict[str, int] = field(compare=False)


@dataclass
class PixelCounts:
    """Pixels of a scene.

    Attributes:
        confusion: int64 [k, k], rows true classes.
        histogram: int64 [k - 1, 2, bins], how often each probability of a foreground class was given to pixels of other
            classes and of its own; None without probabilities.
        unpredicted: labelled pixels of which the map says nothing.
    """

    confusion: Counts
    histogram: Counts | None
    unpredicted: int = 0

    @property
    def labelled(self) -> int:
        """Pixels that were compared."""
        return int(self.confusion.sum())


def count_pixels(scene: Scene, bins: int, tile: int) -> tuple[PixelCounts, list[Tile]]:
    """Count a scene, and its tiles of `tile` pixels that have an error, in any order.

    `bins`: PERCENT_BINS where all probabilities are percent, else UNIT_BINS. Raises UserError where a file is damaged.
    """
    k = scene.classes
    has_chances = scene.prediction.probabilities is not None
    counted = PixelCounts(np.zeros((k, k), np.int64), np.zeros((k - 1, 2, bins), np.int64) if has_chances else None)
    tiles: list[Tile] = []
    for window in scene.strips(tile):
        found, truth, missing = scene.read(window)
        valid = truth != IGNORE_INDEX
        cells = truth[valid].astype(np.int64) * k + found[valid]
        counted.confusion += np.bincount(cells, minlength=k * k).reshape(k, k)
        counted.unpredicted += missing
        if counted.histogram is not None:
            _add_chances(scene, window, truth, counted.histogram)
        tiles += _tiles(scene.name, window, found, truth, tile)
    return counted, tiles


def _add_chances(scene: Scene, window: Window, truth: Classes, histogram: Counts) -> None:
    chances, known = scene.prediction.chances(window)
    counts = known & (truth != IGNORE_INDEX)
    own = truth[counts]
    foreground = chances[-1:] if len(histogram) == 1 else chances[1:]
    bins = histogram.shape[2]
    for index, band in enumerate(foreground, start=1):
        place = places(band[counts], bins)
        flat = np.bincount((own == index) * bins + place, minlength=2 * bins)
        histogram[index - 1] += flat.reshape(2, bins)


def places(chances: NDArray[np.float32], bins: int) -> NDArray[np.int64]:
    """Bins of probabilities [n]: bin i holds those in (i/bins, (i+1)/bins], bin 0 also 0 (and NaN).

    Hundredths are whole numbers again first, so that 0.29 is 29 percent and no more.
    """
    scaled = np.nan_to_num(chances.astype(np.float64)) * bins
    if bins == PERCENT_BINS:
        scaled = np.rint(scaled)
    found: Counts = np.clip(np.ceil(scaled) - 1, 0, bins - 1).astype(np.int64)
    return found


def _tiles(name: str, window: Window, found: Classes, truth: Classes, side: int) -> Iterator[Tile]:
    """Tiles of a strip that have a wrong pixel."""
    valid = truth != IGNORE_INDEX
    masks = {
        "wrong": valid & (found != truth),
        "tp": valid & (found == truth) & (truth > 0),
        "fp": valid & (found != truth) & (found > 0),
        "fn": valid & (found != truth) & (truth > 0),
        "labelled": valid,
    }
    sums = {key: _sums(mask, side) for key, mask in masks.items()}
    for row, column in np.argwhere(sums["wrong"] > 0).tolist():
        here = Window(column * side, window.y + row * side, side, side)
        counts = {key: int(table[row, column]) for key, table in sums.items()}
        yield Tile((-counts["wrong"], name, here.y, here.x), name, here, counts)


def _sums(mask: NDArray[np.bool_], side: int) -> Counts:
    rows, columns = range(0, mask.shape[0], side), range(0, mask.shape[1], side)
    sums: Counts = np.add.reduceat(np.add.reduceat(mask, rows, axis=0, dtype=np.int64), columns, axis=1)
    return sums
