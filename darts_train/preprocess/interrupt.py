"""Ctrl-C at a moment of our choosing: the tile in work is finished first; a second Ctrl-C stops at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from darts_train.base.log import logger

_log = logger("preprocess")


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], None]]:
    """Give a function to call between two steps: it raises KeyboardInterrupt if Ctrl-C came since.

    Signals belong to the main thread; in another one nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    asked: list[int] = []
    former = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        _log.warning("stopping after this tile; what is done is kept, and the same command goes on from there")

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, former)
