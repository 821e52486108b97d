"""Pictures drawn beside the training, one after the other in a thread, so that no step waits for one.

A picture is never a reason for a run to end: the first that fails is named in a warning, and no more are drawn.
Trackers get finished pictures from the thread that trains, since they are not made to be used from two.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lightning.pytorch.loggers.logger import Logger

from darts_train.base.files import write_bytes
from darts_train.base.log import logger
from darts_train.training.tracking.services import ServiceTracker

WAITING = 64  # pictures at most that wait to be drawn; what comes then waits itself
_log = logger("training")


@dataclass(frozen=True, eq=False)
class _Order:
    work: "Future[None]"
    path: Path
    key: str


class Painter:
    """Draws into files, and hands them to trackers under a key."""

    def __init__(self, trackers: Sequence[Logger] = ()) -> None:
        self._trackers = [tracker for tracker in trackers if isinstance(tracker, ServiceTracker)]
        self._thread: ThreadPoolExecutor | None = None
        self._orders: list[_Order] = []
        self.broken = False

    def paint(self, path: Path, draw: Callable[[], bytes], key: str) -> None:
        """Have `draw` called, and its bytes written to `path`. Returns at once, unless many pictures wait."""
        self.collect(len(self._orders) >= WAITING)
        if self.broken:
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="painter")
        self._orders.append(_Order(self._thread.submit(_write, path, draw), path, key))

    def collect(self, wait: bool = False) -> None:
        """Hand what is finished to the trackers; `wait` until all is."""
        waiting = []
        for order in self._orders:
            if not wait and not order.work.done():
                waiting.append(order)
                continue
            error = order.work.exception()
            if error is not None:
                self.failed(error)
                continue
            for tracker in self._trackers:
                tracker.log_image(order.key, order.path)
        self._orders = waiting

    def failed(self, error: BaseException) -> None:
        """Say so, once, and draw no more."""
        if not self.broken:
            _log.warning("figures failed and are left out from here on: %s", error)
        self.broken = True

    def close(self, wait: bool = True) -> None:
        """Finish. Without `wait` what has not begun is left out, and trackers, who are gone by then, get nothing."""
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=not wait)
            self._thread = None
        if not wait:
            self._orders = []
        self.collect(wait=True)


def _write(path: Path, draw: Callable[[], bytes]) -> None:
    write_bytes(path, draw())
