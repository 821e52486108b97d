"""One writer at a time, on one machine: an advisory lock that dies with its process."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darts_train.base.errors import UserError

LOOK_SECONDS = 0.1  # longer than anyone needs who only looks whether a lock is held


class HeldError(UserError):
    """Another process holds the lock."""


@contextmanager
def exclusive_lock(path: Path, what: str, wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path` for the block; the kernel lets go of it when the process dies.

    Raises HeldError naming `what` where another process holds it and `wait` is false.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        if wait:
            fcntl.flock(file, fcntl.LOCK_EX)
        elif not _try_lock(file.fileno(), fcntl.LOCK_EX):
            time.sleep(LOOK_SECONDS)
            if not _try_lock(file.fileno(), fcntl.LOCK_EX):
                raise HeldError(f"{what} is being written by another process; wait for it to end.")
        yield


def is_held(path: Path) -> bool:
    """Whether a process on this machine holds the lock file; False where there is none. Nothing is written."""
    try:
        with path.open("rb") as file:
            return not _try_lock(file.fileno(), fcntl.LOCK_SH)
    except OSError:
        return False


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
