"""A directory of results that appears at once: made beside its place under a hidden name, then renamed."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darts_train.base.files import fsync_directory


@contextmanager
def appearing_directory(place: Path) -> Iterator[Path]:
    """Give an empty directory to fill; on leaving the block it becomes `place`, replacing what was there.

    On an exception it is removed and `place` stays as it was. Directories that killed writers left are swept, those
    of living ones are not; a result that a kill between two renames had hidden is put back first.
    """
    with staging_directory(place) as temporary:
        yield temporary
        _replace(temporary, place)


@contextmanager
def staging_directory(place: Path) -> Iterator[Path]:
    """Give an empty directory beside `place`, on its disk, which is removed with what is left in it.

    What killed writers of `place` left is swept as `appearing_directory` says.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    _sweep(place)
    temporary = place.with_name(f".{place.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sweep(place: Path) -> None:
    pattern = re.compile(rf"\.{re.escape(place.name)}\.(\d+)(\.old)?\.tmp")
    for leftover in sorted(place.parent.iterdir()):
        match = pattern.fullmatch(leftover.name)
        if match is None or _is_alive(int(match[1])):
            continue
        if match[2] and not place.exists():
            os.rename(leftover, place)
        else:
            shutil.rmtree(leftover, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    """Whether another process of this machine has the number."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _replace(temporary: Path, place: Path) -> None:
    for path in temporary.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    if place.exists():  # a directory cannot be renamed over a full one: the old goes under a name that is swept
        old = place.with_name(f".{place.name}.{os.getpid()}.old.tmp")
        os.rename(place, old)
        os.rename(temporary, place)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(temporary, place)
    fsync_directory(place.parent)
