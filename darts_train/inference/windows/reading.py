"""A scene as the windows of a map: each pixel read once per row of windows, ahead of the network, by threads.

Within the scene a window holds what training would have stored of the same pixels, bit for bit; beyond its borders the
scene is mirrored, codes and no data alike, so the network never meets a border that the ground has not.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from darts_train.base.ahead import ahead
from darts_train.features.stack import FeatureStack
from darts_train.inference.backends.protocol import Codes
from darts_train.raster.band import NODATA, Band
from darts_train.raster.blending import Part
from darts_train.raster.cutting import mirrored
from darts_train.raster.encoding import encode
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.scene import INVALID, Scene

PREVIEW_PIXELS = 600  # of the longer side of the picture that is kept while the scene goes by; it is shown at 550
READ_VALUES = 2**23  # values that are read at once: 32 MB as float32, unless a single window has more

Shape = tuple[int, int, int]


@dataclass
class Preview:
    """Every `step`-th pixel of three bands float32 [3, h, w], and how many values the encoding could not say."""

    step: int
    values: npt.NDArray[np.float32]
    clipped: int = 0
    pixels: int = 0

    @classmethod
    def of(cls, grid: Grid, values: Callable[[Shape], npt.NDArray[np.float32]] | None = None) -> "Preview":
        """The preview of a scene on a grid: empty, or over the values of a shape [3, h, w] that it is given."""
        step = max(1, -(-max(grid.width, grid.height) // PREVIEW_PIXELS))
        shape = (3, -(-grid.height // step), -(-grid.width // step))
        return cls(step, values(shape) if values else np.full(shape, np.nan, np.float32))

    def take(self, values: npt.NDArray[np.float32], bands: list[int], window: Window) -> None:
        """Keep what falls on the preview's pixels of three bands of values [c, h, w] of a window within the scene."""
        first_row, first_column = -window.y % self.step, -window.x % self.step
        part = values[:, first_row :: self.step, first_column :: self.step][bands]
        row, column = (window.y + first_row) // self.step, (window.x + first_column) // self.step
        self.values[:, row : row + part.shape[1], column : column + part.shape[2]] = part


class Piece(NamedTuple):
    """One window: its row and column among the windows, its codes uint16 [c, s, s] (None where the scene has no data
    in all of it), and where the pixels that it counts for have data, bool [h, w].
    """

    row: int
    column: int
    codes: Codes | None
    known: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Source:
    """What is read: a scene, by a stack of bands, encoded as `bands`; `colours` are three of them for the preview."""

    scene: Scene
    stack: FeatureStack
    bands: Sequence[Band]
    colours: tuple[int, int, int]


@dataclass(frozen=True)
class Strip:
    """Codes uint16 [c, h, w] and known bool [h, w] of an area within the scene, and how many values were clipped."""

    area: Window
    codes: Codes
    known: npt.NDArray[np.bool_]
    clipped: int
    pixels: int

    def then(self, other: "Strip", left: int) -> "Strip":
        """This strip from column `left` on, and another of the same rows that follows it."""
        kept = slice(max(0, left - self.area.x), None)
        x = self.area.x + kept.start
        area = Window(x, self.area.y, other.area.right - x, self.area.height)
        codes = np.concatenate([self.codes[:, :, kept], other.codes], axis=2)
        return Strip(area, codes, np.concatenate([self.known[:, kept], other.known], axis=1), 0, 0)


@dataclass(frozen=True)
class Reader:
    """The windows of a scene, `size` pixels to a side, row by row; `threads` read ahead."""

    source: Source
    size: int
    rows: Sequence[Part]
    columns: Sequence[Part]
    threads: int = 1

    def pieces(self, preview: Preview, first_row: int = 0) -> Generator[Piece]:
        """All windows of the rows of windows from `first_row` on; what goes by is left in the preview.

        Raises UserError where the scene cannot be read.
        """
        plan = list(self._plan(first_row))
        strips = ahead(partial(self._read, preview), [area for _, _, area in plan], self.threads)
        held: Strip | None = None
        try:
            for (row, columns, _), strip in zip(plan, strips, strict=True):
                preview.pixels += strip.pixels
                preview.clipped += strip.clipped
                held = strip if held is None or columns[0] == 0 else held.then(strip, self._across(columns[0])[0])
                yield from (self._piece(held, row, column) for column in columns)
        finally:
            strips.close()

    def _plan(self, first_row: int) -> Iterator[tuple[int, Sequence[int], Window]]:
        """What is read at once: a row of windows, some of its columns, and what these need beyond the last ones."""
        together = max(1, READ_VALUES // (len(self.source.bands) * self.size**2))
        for row in range(first_row, len(self.rows)):
            top, bottom = self._down(row)
            right = 0
            for first in range(0, len(self.columns), together):
                columns = range(first, min(first + together, len(self.columns)))
                x, right = right, max(self._across(column)[1] for column in columns)
                yield row, columns, Window(x, top, right - x, bottom - top)

    def _down(self, row: int) -> tuple[int, int]:
        return _needed(self.rows[row].start, self.size, self.source.scene.grid.height)

    def _across(self, column: int) -> tuple[int, int]:
        return _needed(self.columns[column].start, self.size, self.source.scene.grid.width)

    def _read(self, preview: Preview, area: Window) -> Strip:
        values, known = read_area(self.source.scene, self.source.stack, area)
        preview.take(values, list(self.source.colours), area)
        codes, clipped = encode(values, self.source.bands)
        return Strip(area, codes, known, int(clipped.sum()), int(np.count_nonzero(codes != NODATA)))

    def _piece(self, held: Strip, row: int, column: int) -> Piece:
        down, across = self.rows[row], self.columns[column]
        counts = Window(across.first, down.first, across.last - across.first, down.last - down.first)
        known = held.known[counts.slices(held.area)]
        window = Window(across.start, down.start, self.size, self.size)
        inside = window.intersection(self.source.scene.grid.extent)
        if not held.known[inside.slices(held.area)].any():
            return Piece(row, column, None, known)
        if inside == window:
            return Piece(row, column, held.codes[:, *inside.slices(held.area)], known)
        grid = self.source.scene.grid
        ys = mirrored(window.y, window.bottom, grid.height) - held.area.y
        xs = mirrored(window.x, window.right, grid.width) - held.area.x
        return Piece(row, column, held.codes[:, ys[:, None], xs], known)


def _needed(start: int, size: int, length: int) -> tuple[int, int]:
    """The pixels of an axis that a window is made of: from the first to before the last."""
    places = mirrored(start, start + size, length)
    return int(places.min()), int(places.max()) + 1


def read_area(scene: Scene, stack: FeatureStack, area: Window) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Bands float32 [c, h, w] of an area as training saw them, and where all that matter have data.

    NaN where the quality is 0, and in indices where they are masked; the latter are no gap in a map.
    """
    holding = getattr(scene, "holding", None)
    scene = scene if holding is None else holding(area)  # its quality is that of the same pixels
    values = stack.compute(scene, area)
    values[:, scene.quality(area) == INVALID] = np.nan
    known, hidden = stack.known(values), stack.hidden(scene, area, values)
    return values if hidden is None else stack.masked(scene, values, hidden), known
