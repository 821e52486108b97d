"""Maps of pictures that were fitted to a patch as a whole: probabilities go back to the size of the picture.

They do before anything is decided: a threshold over resampled classes would draw the edges of the small image. The
fitted image is small, so all of its probabilities are held; the picture's own size goes by in strips.
"""

from collections.abc import Iterator
from typing import cast

import numpy as np

from darts_train.inference.windows.streaming import Mapper, Preview, Rows
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.raster.resampling import resample_in_strips
from darts_train.scenes.photos.fit import FittedScene
from darts_train.scenes.scene import INVALID, Scene

STRIP_PIXELS = 2**22


def map_grid(scene: Scene) -> Grid:
    """The grid of a scene's map: that of the picture as it was."""
    return scene.original.grid if isinstance(scene, FittedScene) else scene.grid


def map_rows(mapper: Mapper, scene: Scene, preview: Preview, finished: int) -> Iterator[Rows]:
    """Rows of a scene's map on `map_grid`, see `Mapper.run`."""
    if not isinstance(scene, FittedScene):
        yield from mapper.run(scene, preview, finished)
        return
    small = Preview.of(scene.grid)
    parts = list(mapper.run(scene, small))
    chances = np.concatenate([part.probabilities for part in parts], axis=1)
    chances[:, ~np.concatenate([part.valid for part in parts])] = np.nan
    preview.clipped, preview.pixels = small.clipped, small.pixels
    grid, original = scene.original.grid, cast(Scene, scene.original)
    rows, top = max(1, STRIP_PIXELS // grid.width), 0
    for strip in resample_in_strips(chances, grid.height, grid.width, rows):
        window = Window(0, top, grid.width, strip.shape[1])
        _keep_colours(mapper, original, preview, window)
        valid = ~np.isnan(strip).any(axis=0) & (original.quality(window) != INVALID)
        yield Rows(top, np.nan_to_num(strip), valid)
        top += strip.shape[1]


def _keep_colours(mapper: Mapper, scene: Scene, preview: Preview, window: Window) -> None:
    """Every `step`-th pixel of rows of full width."""
    values = mapper.stack.compute(scene, window)[list(mapper.colours)]
    part = values[:, -window.y % preview.step :: preview.step, :: preview.step]
    row = -(-window.y // preview.step)
    preview.values[:, row : row + part.shape[1]] = part
