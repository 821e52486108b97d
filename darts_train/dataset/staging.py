"""Tiles that wait to be committed, each in a directory of its own below the journal.

Several workers stage at once; one committer moves the chunks to their place in data.zarr. A chunk's bytes do not
depend on its index, so which worker made it, and when, leaves no trace in the set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.files import remove_tree
from darts_train.dataset.arrays import PatchArrays
from darts_train.dataset.identity import patch_checksum
from darts_train.dataset.layout import JOURNAL, STAGING
from darts_train.dataset.schema import DONE, PatchRow, SceneRecord, Tile, tile_key
from darts_train.dataset.set_config import SetConfig


@dataclass(frozen=True)
class StagedTile:
    """A tile as `schema.Tile`, but its patches lie in the arrays of `directory`; checksums [n] are theirs."""

    scene_id: str
    number: int
    rows: Sequence[PatchRow]
    checksums: Sequence[str]
    directory: Path
    scene: SceneRecord | None = None
    labels: Sequence[Mapping[str, Any]] = ()

    @property
    def key(self) -> str:
        """Name of the tile in `TrainDataWriter.tiles_done`."""
        return tile_key(self.scene_id, self.number)


def stage_tile(root: Path, config: SetConfig, tile: Tile, name: str) -> StagedTile:
    """Write the patches of a tile to `root/.journal/staging/name`, replacing what is there, and make them durable.

    Raises ValueError where the tile does not fit the set (shapes, dtypes, class values), and UserError where the disk
    cannot take it.
    """
    check_tile(tile, config)
    directory = root / JOURNAL / STAGING / name
    try:
        remove_tree(directory)
        if tile.rows:
            PatchArrays.create(directory, config).append(0, tile.x, tile.y)
    except OSError as error:
        raise cannot_write(root, error) from error
    checksums = [patch_checksum(x, y) for x, y in zip(tile.x, tile.y, strict=True)]
    return StagedTile(tile.scene_id, tile.number, tile.rows, checksums, directory, tile.scene, tile.labels)


def cannot_write(root: Path, error: OSError) -> UserError:
    """What to say where the disk is full, or gone."""
    reason = error.strerror or str(error)
    return UserError(f"{root}: cannot be written: {reason}. What was committed is kept; call again after.")


def check_tile(tile: Tile, config: SetConfig) -> None:
    """Raise ValueError where a tile does not fit the set."""
    count, side = len(tile.rows), config.patch_size
    if tile.x.dtype != np.uint16 or tile.x.shape != (count, len(config.bands), side, side):
        raise ValueError(f"tile {tile.key}: x is {tile.x.dtype} {tile.x.shape} for {count} rows")
    if tile.y.dtype != np.uint8 or tile.y.shape != (count, side, side):
        raise ValueError(f"tile {tile.key}: y is {tile.y.dtype} {tile.y.shape} for {count} rows")
    known = [*range(len(config.classes)), config.ignore_index]
    unknown = np.setdiff1d(_values_in(tile.y), known)
    if unknown.size:
        raise ValueError(f"tile {tile.key}: y holds {unknown.tolist()}, classes are {known}")
    if tile.number < 0 or any(row.sample_id != tile.scene_id for row in tile.rows):
        raise ValueError(f"tile {tile.key}: a number below 0, or a row of another scene")
    if any(len(row.class_fractions) != len(config.classes) for row in tile.rows):
        raise ValueError(f"tile {tile.key}: class_fractions must have {len(config.classes)} items")
    declared = {column.name for column in config.columns}
    if any(not set(row.columns) <= declared for row in tile.rows):
        raise ValueError(f"tile {tile.key}: a row has columns beyond {sorted(declared)}")
    check_record(tile)


def _values_in(y: np.ndarray) -> np.ndarray:
    """The values of classes uint8 [n, h, w], counted patch by patch: sorting them takes ten times as long."""
    there = np.zeros(256, bool)
    for patch in y:
        there |= np.bincount(patch.ravel(), minlength=256) > 0
    return np.flatnonzero(there)


def check_record(tile: Tile | StagedTile) -> None:
    """Raise ValueError where the record that comes with a scene's last tile is of another scene, or not done."""
    if tile.scene is not None and (tile.scene.scene_id != tile.scene_id or tile.scene.status != DONE):
        raise ValueError(f"tile {tile.key}: its scene record is of another scene or not done")
