"""Making the cache of a set, once: whoever comes first builds under a lock, the others wait and read.

The file grows under a temporary name and is renamed when it is whole and on disk, so a killed builder leaves nothing
that is taken for a cache; what it left is removed by the next. Its room is reserved first: a full disk is known at
once, and training then reads the set itself.
"""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path, require_writable
from darts_train.base.locks import exclusive_lock
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.dataset.cache import CachedPatches, CacheShape
from darts_train.dataset.reader import TrainData

OPTION = "--cache"
_BLOCK = 256  # patches handed to the threads at once
_THREADS = 4  # decompression runs outside the interpreter's lock
_log = logger("dataset")


def require_cache_place(directory: Path, root: Path) -> None:
    """Check that a cache may be made in `directory`. Raises UserError: read-only, or inside the train data `root`."""
    if directory.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{OPTION}: {directory} is inside the train data directory; choose a place outside it.")
    require_writable(directory, OPTION)


def open_cache(directory: Path, data: TrainData) -> CachedPatches | None:
    """The cache of a set in `directory`, built where it is not there; None, with a warning, where it has no room.

    Raises:
        UserError: the place is no place for a cache (see `require_cache_place`), or a patch is missing or damaged.
    """
    require_cache_place(directory, data.root)
    shape = CacheShape.of(data)
    path = shape.path(directory)
    try:
        if not shape.is_whole(path):
            with exclusive_lock(directory / f".{path.name}.lock", f"{OPTION}: {path}", wait=True):
                if not shape.is_whole(path):  # another process may have built it while this one waited
                    _build(path, shape, data)
    except OSError as error:
        _log.warning("no cache in %s (%s); patches are read from %s.", directory, error.strerror, data.root)
        return None
    return CachedPatches(path, shape, data.band_indices)


def _build(path: Path, shape: CacheShape, data: TrainData) -> None:
    """Write the whole file; the caller holds the lock. Raises OSError where the file system has no room."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)
    _log.info("caching %d patches (%.1f GB) in %s", shape.patches, shape.file_bytes / 1e9, path.parent)
    whole = TrainData.open(data.root)
    with atomic_path(path) as temporary, temporary.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, shape.file_bytes)
        os.pwrite(file.fileno(), shape.header(), 0)
        copy = partial(_copy_patch, whole, shape, file.fileno())
        with ThreadPoolExecutor(_THREADS) as pool:
            for first in track(range(0, shape.patches, _BLOCK), "caching patches", -(-shape.patches // _BLOCK)):
                list(pool.map(copy, range(first, min(first + _BLOCK, shape.patches))))


def _copy_patch(data: TrainData, shape: CacheShape, descriptor: int, index: int) -> None:
    x, y = data.read(index)
    parts = [np.ascontiguousarray(part).data for part in (x, y)]
    written = os.pwritev(descriptor, parts, shape.offset(index))
    if written != shape.record_bytes:
        raise OSError(errno.ENOSPC, "no room for the whole patch")
