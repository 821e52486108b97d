"""Work that is done by threads while its results are waited for: in order, and only so much of it ahead."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    function: Callable[[T], R],
    items: Iterable[T],
    threads: int = 1,
    spare: int = 1,
    begin: Callable[[], None] | None = None,
) -> Generator[R]:
    """Results of a function of each item, in order; `threads` items are in work and `spare` results wait at most.

    Each thread calls `begin` first. The items are taken in the caller's thread. What the function raises is raised at
    the item's turn. When the results are left before their end, what is in work is finished and dropped, and the items
    are closed.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead", initializer=begin)
    waiting: deque[Future[R]] = deque()
    source = iter(items)
    try:
        for item in source:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= threads + spare:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        if isinstance(source, Generator):
            source.close()
