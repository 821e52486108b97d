"""One function over many items: here, in processes of this machine, or on a Dask cluster.

Results come in the order of the items whatever finished first, and only some items are under way at a time, so memory
and disk stay bounded. An item whose worker was killed is done again, by another worker.

Processes come from loky rather than from multiprocessing: it starts them clean (never forked after GDAL or zarr) and
without importing the caller's script again, so a notebook or a script without a guard may use them too.
"""

import gc
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.base.optional import require

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 2  # items under way per worker: one in work, one waiting, so that nobody waits for the one who commits
_ATTEMPTS = 3  # with the first item that is missing, before its workers' deaths are taken for its own fault
_IDLE_SECONDS = 60  # after which a process ends by itself
_ORPHAN_SECONDS = 0.5  # between two looks whether the process that asked for the work still lives
_CONNECT_SECONDS = 10
_log = logger("executor")


class Executor(Protocol):
    """Something that runs a function."""

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Results in the order of the items. Items are taken as they are needed, a few ahead.

        `function`, items and results must be picklable, and an item may be done twice: let it replace what an earlier
        attempt left. Raises what the function raised, at the item's turn; UserError where workers die again and again.
        """
        ...


@contextmanager
def open_executor(workers: int, scheduler: str | None = None) -> Iterator[Executor]:
    """An executor with `workers` processes (1: none but this one), or with those of a Dask cluster.

    On leaving, items under way are finished and their results dropped. Raises UserError where `scheduler` does not
    answer, or the extra `dask` is not installed.
    """
    if scheduler is not None:
        with _cluster(scheduler) as cluster:
            yield cluster
    elif workers == 1:
        yield _Here()
    else:
        processes = _Processes(workers)
        try:
            yield processes
        finally:
            processes.close()


def core_count() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Here:
    """This process: one item after the other, when its result is asked for."""

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        return map(function, items)


class _Processes:
    """Processes of this machine."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._pool = self._start()

    def _start(self) -> Any:
        import loky

        return loky.ProcessPoolExecutor(
            self._workers, timeout=_IDLE_SECONDS, initializer=_begin_worker, initargs=(os.getpid(),)
        )

    def close(self) -> None:
        self._pool.shutdown(wait=True, kill_workers=False)

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        import loky

        source = iter(items)
        waiting: deque[tuple[T, Any]] = deque()  # items with their futures, None where not given to a worker yet
        deaths = 0
        while True:
            while len(waiting) < AHEAD * self._workers and (item := next(source, _END)) is not _END:
                waiting.append((item, None))  # type: ignore[arg-type]
            if not waiting:
                return
            try:
                waiting = deque((item, future or self._pool.submit(function, item)) for item, future in waiting)
                result = waiting[0][1].result()
            except loky.BrokenProcessPool:
                deaths += 1
                self._replace_pool(deaths)
                waiting = deque((item, None) for item, _ in waiting)
                continue
            waiting.popleft()
            deaths = 0
            yield result

    def _replace_pool(self, deaths: int) -> None:
        """A dead worker takes the pool with it: a new one, unless that has been tried often enough."""
        if deaths == _ATTEMPTS:
            raise UserError(
                f"Worker processes were killed {deaths} times (out of memory?); "
                "take fewer --workers. What was committed is kept."
            ) from None
        _log.warning("a worker process was killed; its work is done again")
        self._pool.shutdown(wait=True, kill_workers=True)
        self._pool = self._start()


class _Cluster:
    """The workers of a Dask cluster."""

    def __init__(self, client: Any, scheduler: str) -> None:
        self._client = client
        self._scheduler = scheduler

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        source = iter(items)
        waiting: deque[Any] = deque()
        while True:
            while len(waiting) < AHEAD * self._threads() and (item := next(source, _END)) is not _END:
                waiting.append(self._client.submit(function, item, pure=False))
            if not waiting:
                return
            yield self._result(waiting.popleft())

    def _threads(self) -> int:
        return max(1, int(sum(self._client.nthreads().values())))  # none at the moment: one may come back

    def _result(self, future: Any) -> Any:
        from distributed import CancelledError, KilledWorker

        try:
            return future.result()
        except KilledWorker:
            raise UserError(
                f"--scheduler: workers of {self._scheduler} died again and again at one item (out of memory?)."
            ) from None
        except (CancelledError, OSError):
            if self._client.status == "running":
                raise
            raise UserError(
                f"--scheduler: {self._scheduler} is gone. What was committed is kept; call again after."
            ) from None


@contextmanager
def _cluster(scheduler: str) -> Iterator[_Cluster]:
    client = _client(scheduler)
    try:
        yield _Cluster(client, scheduler)
    finally:
        client.close()


def _client(scheduler: str) -> Any:
    distributed = require("distributed", "dask", "--scheduler")
    try:
        return distributed.Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        traceback.clear_frames(error.__traceback__)
        error.__traceback__ = None
    # What is left of the client waits for its thread when it is collected: now, and not while another thread starts.
    gc.collect()
    raise UserError(f"--scheduler: {scheduler} does not answer ({reason}).")


_END = object()


def _begin_worker(parent: int) -> None:
    """Leave signals to the parent, and end with it."""
    # Ctrl-C reaches every process of the terminal, SIGTERM those of a job; only the one that commits is to answer.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """A killed parent says nothing; its orphan would write where the next run does."""
    while os.getppid() == parent:
        time.sleep(_ORPHAN_SECONDS)
    os._exit(1)
