"""A loader whose workers are threads: batches are read ahead, and come in order.

Reading is a positioned read from the cache or a decompression; both let go of the interpreter's lock, so threads do
what processes would, without a start of eight seconds for each (spawn imports torch anew), without a second copy of
the batch through shared memory, and without a fork of a process that has used CUDA. Measured with two threads on two
cores, 12 bands of 128 x 128 from zarr: 1600 patches/s, where two spawned processes that read through zarr gave 330.
An error of a thread is raised as it is.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from torch.utils.data import DataLoader, Dataset

from darts_train.base.executor import core_count
from darts_train.training.loading.clock import DataClock
from darts_train.training.loading.patches import Batch, as_is

MOST_THREADS = 8
AHEAD = 2  # batches per thread that are read before they are asked for


def reading_threads(num_workers: int | str, processes: int = 1) -> int:
    """The number that `--num-workers` means: `auto` is one for each core of a process but one, at most eight."""
    return min(max(core_count() // processes - 1, 1), MOST_THREADS) if isinstance(num_workers, str) else num_workers


class ThreadedLoader(DataLoader[Batch]):
    """A DataLoader over a `PatchDataset` or `HeldPatches` whose batches are read ahead by threads; 0 reads when asked.

    What is held at once is bounded: `threads` x AHEAD batches, and the one in use. `clock` counts the waiting.
    """

    def __init__(
        self,
        dataset: Dataset[Batch],
        batch_size: int,
        threads: int = 0,
        clock: DataClock | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(dataset, batch_size, collate_fn=as_is, num_workers=0, **settings)
        self.threads = threads
        self.clock = clock

    def __iter__(self) -> Any:
        """Batches in the order of the sampler."""
        batches = self._ahead() if self.threads else super().__iter__()
        return batches if self.clock is None else self.clock.over(batches)

    def _ahead(self) -> Iterator[Batch]:
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="patches")
        waiting: deque[Future[Batch]] = deque()
        try:
            for positions in self.batch_sampler or ():
                waiting.append(pool.submit(self._read, positions))
                if len(waiting) > self.threads * AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # also where the epoch was left in its middle
            pool.shutdown(wait=True, cancel_futures=True)

    def _read(self, positions: list[int]) -> Batch:
        batch = self.dataset.__getitems__(positions)  # type: ignore[attr-defined]
        return {name: part.pin_memory() for name, part in batch.items()} if self.pin_memory else batch
