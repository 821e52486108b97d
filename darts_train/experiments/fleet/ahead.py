"""Runs of one cross-validation, several at a time, and handed out in their order.

Whoever asks sees the rows one after the other, as if the runs had been done so: scores, tables and what a judge is
shown do not depend on the number of devices.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from darts_train.artifacts.run_infos import RunRow

Do = Callable[[int, int], RunRow]


@contextmanager
def ahead(do: Do, runs: Sequence[tuple[int, int]], execute: Any) -> Iterator[Do]:
    """What gives the row of a run, by fold and seed, where each of `runs` is done once by `do`.

    `execute` is asked how many at a time: its `count`, where it has one (`lanes.Lanes`). Runs that nobody has asked for
    when the block ends are dropped; where a signal ended it, those in work are let come to the end of their epochs.
    """
    count = min(getattr(execute, "count", 1), len(runs))
    if count < 2:
        yield do
        return
    pool = ThreadPoolExecutor(count, thread_name_prefix="run")
    try:
        futures = {run: pool.submit(do, *run) for run in runs}
        yield lambda fold, seed: futures[fold, seed].result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        with execute.dropping():
            pool.shutdown(wait=True)
