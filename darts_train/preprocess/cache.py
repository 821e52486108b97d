"""Finished tiles, kept for the next time that the same scene is cut in the same way.

One file per tile, named by a hash of all that decides its content: name, size and time of change of the source files,
every setting, the version of this package. An entry can therefore be stale only if a file was changed behind its times.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

import darts_train
from darts_train.base.files import atomic_path
from darts_train.base.hashes import hash_json
from darts_train.base.log import logger
from darts_train.preprocess.patching import CutTile

_FORMAT = 2
_FIELDS = ("x", "y", "kept", "clipped", "dropped")
_log = logger("preprocess")


class TileCache:
    """A directory of finished tiles; without a directory nothing is kept, with `force` nothing is read."""

    def __init__(self, directory: Path | None, force: bool, settings: str) -> None:
        self._directory = directory
        self._force = force
        self._settings = settings

    def path(self, files: Iterable[Path], scene_id: str, number: int) -> Path | None:
        """Where a tile of a scene lies; None without a directory, and where a file is gone (reading it will say so)."""
        if self._directory is None:
            return None
        try:
            stamps = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        except OSError:
            return None
        key = [_FORMAT, darts_train.__version__, self._settings, stamps, scene_id, number]
        return self._directory / f"{hash_json(key)}.npz"

    def load(self, path: Path | None) -> CutTile | None:
        """The tile, or None where it is not there, not wanted, or damaged (one warning; it is made anew)."""
        if path is None or self._force or not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as file:
                columns = tuple(json.loads(str(file["columns"])))
                return CutTile(**{name: file[name] for name in _FIELDS}, columns=columns)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            _log.warning("%s: damaged (%s); made anew", path, error)
            return None

    def store(self, path: Path | None, tile: CutTile) -> None:
        """Keep a tile. A full disk is no reason to stop: one warning."""
        if path is None:
            return
        try:
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, columns=json.dumps(tile.columns), **{name: getattr(tile, name) for name in _FIELDS})
        except OSError as error:
            _log.warning("%s: not kept (%s)", path, error.strerror)
