"""Work on a CPU that is better shared out by patches than, as torch does it, within every single operation."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch

T = TypeVar("T")


def one_by_one(work: Callable[[T], None], parts: Sequence[T], shared: bool) -> None:
    """Do the work on every part; where it is `shared`, by as many threads as torch may use, each of them alone.

    Sharing out every operation between two cores gained a third; patches of its own for each core gain three quarters,
    where operations are large enough (8 MB) that threads do not wait for the interpreter's lock.
    """
    most = torch.get_num_threads()
    threads = min(most, len(parts))
    if not shared or threads < 2:
        for part in parts:
            work(part)
        return
    with shared_cores(1) as begin, ThreadPoolExecutor(threads, initializer=begin) as pool:
        list(pool.map(work, parts))


@contextmanager
def shared_cores(threads: int | None) -> Iterator[Callable[[], None] | None]:
    """What each thread of a pool calls first, so that torch uses `threads` in it; None: nothing.

    torch's number is of the thread that sets it, but also of threads that are yet to come: it is set back at the end.
    """
    if threads is None:
        yield None
        return
    most = torch.get_num_threads()
    try:
        yield partial(torch.set_num_threads, threads)
    finally:
        torch.set_num_threads(most)
