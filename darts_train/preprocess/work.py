"""The work of one tile, done by any process that sees the same files: cut, and staged for the one that commits."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.memory import release_freed_memory
from darts_train.dataset.schema import Tile
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.staging import StagedTile, stage_tile
from darts_train.preprocess.cache import TileCache
from darts_train.preprocess.patching import CutTile, Recipe, Sample, cut_tile, patch_rows
from darts_train.raster.patches import Window


@dataclass(frozen=True)
class TileTask:
    """What a worker is told: tile `number` of a sample, and how it is cut.

    `name` is that of its staging directory; None where the tile is committed already and only its counts are wanted.
    `place` is the working directory in which relative paths mean something.
    """

    sample: Sample
    number: int
    windows: list[Window]
    recipe: Recipe
    config: SetConfig
    cache: TileCache
    root: Path
    place: Path
    name: str | None


@dataclass(frozen=True)
class TileResult:
    """What a worker gives back: the staged tile (patch_id counts within the tile) and the counts of `CutTile`.

    `failure` says why the scene cannot be read; nothing else is there then.
    """

    scene_id: str
    number: int
    staged: StagedTile | None
    patches: int
    clipped: np.ndarray
    dropped: np.ndarray
    failure: str | None = None


def make_tile(task: TileTask) -> TileResult:
    """Cut one tile and stage it. A file that cannot be read is a result; UserError where the disk takes no more."""
    if Path.cwd() != task.place:  # another process, perhaps on another machine
        os.chdir(task.place)
    scene_id = task.sample.scene.scene_id
    try:
        tile = _cut(task)
    except UserError as error:
        nothing = np.zeros(0, np.int64)
        return TileResult(scene_id, task.number, None, 0, nothing, nothing, str(error).rstrip("."))
    staged = None if task.name is None else _stage(task, tile, task.name)
    result = TileResult(scene_id, task.number, staged, len(tile.x), tile.clipped, tile.dropped)
    del tile
    release_freed_memory()
    return result


def _cut(task: TileTask) -> CutTile:
    path = task.cache.path(task.sample.files, task.sample.scene.scene_id, task.number)
    tile = task.cache.load(path)
    if tile is None:
        tile = cut_tile(task.sample, task.windows, task.recipe)
        task.cache.store(path, tile)
    return tile


def _stage(task: TileTask, tile: CutTile, name: str) -> StagedTile:
    rows = patch_rows(task.sample, task.windows, tile, 0, len(task.config.classes))
    whole = Tile(task.sample.scene.scene_id, task.number, rows, tile.x, tile.y)
    return stage_tile(task.root, task.config, whole, name)
