"""A model over a scene of any size: a row of windows at a time, blended, given out as rows of pixels are finished.

Memory is that of one row of windows, whatever the height of the scene: a pixel is finished when no later window
holds it, and leaves.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from darts_train.features.stack import FeatureStack
from darts_train.inference.models import MapModel
from darts_train.raster.blending import axis_weights
from darts_train.raster.encoding import encode
from darts_train.raster.patches import Window, patch_starts
from darts_train.scenes.scene import INVALID, Scene

PREVIEW_PIXELS = 1200  # of the longer side of the picture that is kept while the scene goes by


@dataclass(frozen=True)
class Rows:
    """Finished rows of a map: probabilities float32 [k, rows, width] and valid bool [rows, width] from row `y` on."""

    y: int
    probabilities: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]


@dataclass
class Preview:
    """Every `step`-th pixel of three bands float32 [3, h, w], and how many values the encoding could not say."""

    step: int
    values: npt.NDArray[np.float32]
    clipped: int = 0
    pixels: int = 0

    @classmethod
    def of(cls, scene: Scene) -> "Preview":
        """An empty preview of a scene."""
        step = max(1, -(-max(scene.grid.width, scene.grid.height) // PREVIEW_PIXELS))
        shape = (3, -(-scene.grid.height // step), -(-scene.grid.width // step))
        return cls(step, np.full(shape, np.nan, np.float32))

    def take(self, values: npt.NDArray[np.float32], window: Window) -> None:
        """Keep what falls on the preview's pixels of values [3, h, w] of a window within the scene."""
        first_row, first_column = -window.y % self.step, -window.x % self.step
        part = values[:, first_row :: self.step, first_column :: self.step]
        row, column = (window.y + first_row) // self.step, (window.x + first_column) // self.step
        self.values[:, row : row + part.shape[1], column : column + part.shape[2]] = part


@dataclass
class Mapper:
    """How a scene is mapped: model, bands, windows."""

    model: MapModel
    stack: FeatureStack
    window_size: int
    overlap: int
    batch: int
    colours: tuple[int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        names = list(self.model.spec.names)
        wanted = [names.index(name) for name in ("red", "green", "blue") if name in names]
        spare = [min(i, len(names) - 1) for i in range(3)]
        self.colours = tuple(wanted if len(wanted) == 3 else spare)  # type: ignore[assignment]

    def row_count(self, scene: Scene) -> int:
        """Rows of windows that a scene needs."""
        return len(patch_starts(scene.grid.height, self.window_size, self.overlap))

    def run(self, scene: Scene, preview: Preview, finished: int = 0) -> Iterator[Rows]:
        """The map of a scene, from its first row to its last; rows before `finished` are not wanted, and may be wrong.

        A pixel is valid where its quality is not 0 and every band of the model has data: elsewhere the network has
        learned nothing. Raises UserError where the scene cannot be read.
        """
        width, height, size = scene.grid.width, scene.grid.height, self.window_size
        xs, ys = (patch_starts(length, size, self.overlap) for length in (width, height))
        columns = axis_weights(xs, size, self.overlap, width)
        rows = axis_weights(ys, size, self.overlap, height)
        total = np.zeros((self.model.channels, size, max(width, size)), np.float32)
        valid = np.zeros((size, max(width, size)), bool)
        for i, (y, following) in enumerate(pairwise([*ys, height])):
            if y + size <= finished:
                continue
            for batch in range(0, len(xs), self.batch):
                chosen = range(batch, min(batch + self.batch, len(xs)))
                windows = [Window(xs[j], y, size, size) for j in chosen]
                weights = [np.outer(rows[i], columns[j]).astype(np.float32) for j in chosen]
                self._add(scene, windows, weights, total, valid, preview)
            done = following - y
            yield Rows(y, total[:, :done, :width].copy(), valid[:done, :width].copy())
            total[:, : size - done], valid[: size - done] = total[:, done:].copy(), valid[done:].copy()
            total[:, size - done :], valid[size - done :] = 0, False

    def _add(
        self,
        scene: Scene,
        windows: list[Window],
        weights: list[npt.NDArray[np.float32]],
        total: npt.NDArray[np.float32],
        valid: npt.NDArray[np.bool_],
        preview: Preview,
    ) -> None:
        """Add the weighted probabilities of neighbouring windows to the row in work."""
        area = Window(windows[0].x, windows[0].y, windows[-1].right - windows[0].x, windows[0].height)
        values, known = read_area(scene, self.stack, area)
        inside = area.intersection(scene.grid.extent)
        here = inside.slices(area)
        preview.take(values[list(self.colours)][:, *here], inside)
        preview.pixels += int(np.count_nonzero(~np.isnan(values)))
        codes, clipped = encode(values, self.model.spec.bands)
        preview.clipped += int(clipped.sum())
        valid[:, area.x : area.right] |= known
        batch = np.stack([codes[:, :, w.x - area.x : w.right - area.x] for w in windows])
        for window, weight, found in zip(windows, weights, self.model.probabilities(batch), strict=True):
            total[:, :, window.x : window.right] += found * weight


def read_area(scene: Scene, stack: FeatureStack, area: Window) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Bands float32 [c, h, w] of an area as training saw them, and where all that matter have data.

    NaN where the quality is 0, and in indices where they are masked; the latter are no gap in a map.
    """
    values = stack.compute(scene, area)
    values[:, scene.quality(area) == INVALID] = np.nan
    known, hidden = stack.known(values), stack.hidden(scene, area, values)
    return values if hidden is None else stack.masked(scene, values, hidden), known
