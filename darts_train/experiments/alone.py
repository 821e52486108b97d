"""One process at a time in a directory."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from darts_train.base.errors import UserError
from darts_train.base.locks import exclusive_lock

LOCK_FILE = ".lock"
PATIENCE = 10.0  # seconds: the workers of a killed process hold its lock until they notice


class BusyError(UserError):
    """Another process works there."""


@contextmanager
def alone_in(directory: Path, what: str) -> Iterator[None]:
    """Hold a directory's lock for the block; the directory is made. Raises BusyError where it stays held."""
    deadline = time.monotonic() + PATIENCE
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(exclusive_lock(directory / LOCK_FILE, what))
                break
            except UserError as error:
                if time.monotonic() > deadline:
                    raise BusyError(str(error)) from None
                time.sleep(0.25)
        yield
