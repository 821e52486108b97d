"""Files that are either whole or not there.

Every file that replaces another goes through `atomic_path`: a temporary file in the same
directory, fsync, rename, fsync of the directory. A crash leaves the old file or the new one,
and at worst a hidden `.{name}.{pid}.tmp` beside it, which `sweep_leftovers` removes.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError


def fsync_directory(directory: Path) -> None:
    """Make renames inside a directory durable. Raises OSError where the directory is gone."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def atomic_path(path: Path, former: Path | None = None) -> Iterator[Path]:
    """Give a temporary path to write; on leaving the block it becomes `path`, or vanishes.

    The parent directory is created. On an exception the temporary file is removed and `path`
    stays as it was. What lay at `path` before is kept as `former`, where that is given.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        if former is not None and path.is_file():
            _keep(path, former)
        os.replace(temporary, path)
        fsync_directory(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _keep(path: Path, former: Path) -> None:
    """Give a file a second name, so that `path` is there at every moment; without hard links, a copy."""
    former.unlink(missing_ok=True)
    try:
        os.link(path, former)
    except OSError:
        shutil.copyfile(path, former)


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes atomically, replacing what was there."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, replacing what was there."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON atomically; keys keep their order, NaN is refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def sweep_leftovers(directory: Path) -> None:
    """Remove the temporary files that killed writers left in a directory (not below it)."""
    for leftover in directory.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it, a file, or a link (not what it points to); nothing where absent."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def require_file(path: Path, option: str) -> Path:
    """Return `path` where it is a file; else UserError naming the option."""
    if not path.exists():
        raise UserError(f"{option}: {path} does not exist.")
    if not path.is_file():
        raise UserError(f"{option}: {path} is not a file.")
    return path


def require_directory(path: Path, option: str) -> Path:
    """Return `path` where it is a directory that can be listed; else UserError naming the option."""
    if not path.exists():
        raise UserError(f"{option}: {path} does not exist.")
    if not path.is_dir():
        raise UserError(f"{option}: {path} is not a directory.")
    if not os.access(path, os.R_OK | os.X_OK):
        raise UserError(f"{option}: {path} cannot be read; check its permissions.")
    return path


def require_writable(path: Path, option: str) -> Path:
    """Check that `path` is, or can become, a directory we may write to; nothing is created.

    Looks at the nearest existing ancestor, so that a read-only place is refused before work starts.
    """
    place = path
    try:
        while not place.exists() and place != place.parent:
            if place.is_symlink():
                raise UserError(f"{option}: {place} is a link that leads nowhere.")
            place = place.parent
    except OSError as error:
        raise UserError(f"{option}: {str(place)[:60]}… cannot be a directory ({error.strerror}).") from None
    if not place.is_dir():
        raise UserError(f"{option}: {place} is not a directory.")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"{option}: {place} is read-only; choose a place that can be written.")
    return path
