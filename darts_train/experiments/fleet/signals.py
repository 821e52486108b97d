"""Signals of a terminal or a scheduler, while somebody else than Python answers them."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def taken_by(ways: Mapping[int, Callable[..., None]]) -> Iterator[None]:
    """During the block each signal goes its way, unless it is ignored; elsewhere than in the main thread none come."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ways}
    for number, way in ways.items():
        if before[number] not in (signal.SIG_IGN, None):
            signal.signal(number, way)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
