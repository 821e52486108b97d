"""Progress of long work: a bar on a terminal, a plain line now and then where there is none."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from darts_train.base.log import logger

T = TypeVar("T")
PLAIN_SECONDS = 10.0  # between two plain lines
_log = logger("progress")


def track(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """Yield the items, showing how far we are: `total` is their number.

    On a terminal rich draws a bar on stderr; elsewhere a log line every ten seconds and one at the end.
    """
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as rich_track

        yield from rich_track(items, description=label, total=total, console=Console(stderr=True), transient=True)
        return
    started = said = time.monotonic()
    for count, item in enumerate(items):
        if time.monotonic() - said >= PLAIN_SECONDS:
            said = time.monotonic()
            _log.info("%s: %d of %d (%.0f s)", label, count, total, said - started)
        yield item
