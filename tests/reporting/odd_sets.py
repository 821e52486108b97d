"""Train data directories that are unlike others, for the tests of the page."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely

from darts_train.dataset.schema import LEFT_OUT, SceneRecord
from darts_train.dataset.writer import TrainDataWriter
from tests.support.sets import make_config, make_tile


def write(root: Path, tiles, left_out=(), size: int = 16, bands: int = 3, classes: int = 2) -> Path:
    """A set of tiles: `tiles` gives (region, count, {field: function of the patch's number}) for each scene."""
    config = make_config(bands, size, classes)
    with TrainDataWriter.open(root, config) as writer:
        for scene, (region, count, fields) in enumerate(tiles):
            tile = make_tile(config, scene, region, count, 0, nodata=True)
            rows = [replace(row, **{k: f(i) for k, f in fields.items()}) for i, row in enumerate(tile.rows)]
            writer.commit(replace(tile, rows=rows))
        for name, reason in left_out:
            writer.skip(SceneRecord(name, LEFT_OUT, reason=reason))
        writer.finalise()
    return root


def across_the_antimeridian(root: Path) -> Path:
    """Patches from 179.5 east to 179.5 west at 71 degrees north, the middle one in two parts as the writer makes it."""

    def outline(i):
        west, east = 179.5 + 0.2 * i, 179.7 + 0.2 * i
        halves = [(west, min(east, 180.0), 0.0), (max(west, 180.0), east, -360.0)]
        moved = [shapely.box(a + turn, 71.0, b + turn, 71.06) for a, b, turn in halves if b > a + 1e-9]
        return shapely.to_wkb(shapely.MultiPolygon(moved) if len(moved) > 1 else moved[0])

    return write(root, [("Wrangel", 6, {"geometry": outline, "date": lambda i: f"2021-07-{i + 1:02d}"})])


def many_regions(root: Path, regions: int = 120) -> Path:
    """A patch or two of each of many regions, over Canada, some scenes left out."""
    rng = np.random.default_rng(0)
    places = rng.uniform([-135.0, 60.0], [-70.0, 75.0], (regions, 2))

    def place(at):
        return lambda i: shapely.to_wkb(shapely.box(at[0], at[1] + 0.1 * i, at[0] + 0.3, at[1] + 0.1 * i + 0.1))

    tiles = [(f"Region of the long name {k}", 1 + k % 2, {"geometry": place(at)}) for k, at in enumerate(places)]
    return write(root, tiles, [(f"cloudy{k}", "less than 10 % of the scene is clear") for k in range(3)], size=8)
