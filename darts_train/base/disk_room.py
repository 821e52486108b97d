"""A full disk, said in one line whoever met it: our own write, or a library that has an error of its own for it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from darts_train.base.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NoRoomError(UserError):
    """The disk is full, or a quota or limit reached. Not the fault of a run's settings: every other would fail too."""


def cause_of_full_disk(error: BaseException) -> OSError | None:
    """The OSError that says there is no room, this one or one behind it (torch raises a RuntimeError over it)."""
    seen: list[BaseException] = []
    behind: list[BaseException | None] = [error]
    while behind:
        one = behind.pop()
        if one is None or any(one is other for other in seen):
            continue
        if isinstance(one, OSError) and one.errno in _FULL:
            return one
        seen.append(one)
        behind += [one.__context__, one.__cause__]  # an error raised again from itself is its own cause
    return None


def no_room(place: object, error: OSError) -> NoRoomError:
    """What to say where `place` could not be written."""
    return NoRoomError(f"{place} cannot be written: {error.strerror}. Make room, then give the same command again.")


@contextmanager
def told_when_full(place: Path) -> Iterator[None]:
    """Raise NoRoomError naming `place` where the block fails because a disk is full; other errors as they are."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        full = cause_of_full_disk(error)
        if full is None:
            raise
        raise no_room(place, full) from error
