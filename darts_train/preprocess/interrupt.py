"""Ctrl-C or SIGTERM at a moment of our choosing: the tile in work is finished first; a second one stops at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from darts_train.base.log import logger

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_log = logger("preprocess")


@contextmanager
def deferred_interrupt() -> Iterator[Callable[[], None]]:
    """Give a function to call between two steps: it leaves if a signal came since.

    It raises KeyboardInterrupt after Ctrl-C, and SystemExit with 143 after SIGTERM, with which cluster schedulers
    announce the end. Signals belong to the main thread; in another one nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            leave(number)
        _log.warning("stopping after this tile; what is done is kept, and the same command goes on from there")

    def leave(number: int) -> None:
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)

    def check() -> None:
        if asked:
            leave(asked[0])

    former = {number: signal.signal(number, note) for number in _SIGNALS}
    try:
        yield check
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
