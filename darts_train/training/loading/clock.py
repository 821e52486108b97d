"""How long a device waited for its next batch.

On a CUDA device the host's clock would not do: work is queued there, and while it lasts a late batch costs nothing. Two
events around the wait say how long the device itself was idle; they are looked at when they have happened, and waited
for at the end of an epoch only.
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import torch

from darts_train.training.loading.patches import Batch


class DataClock:
    """Adds up the seconds in which a device had nothing to do because the next batch was not there."""

    def __init__(self, device: torch.device) -> None:
        self._is_cuda = device.type == "cuda"
        self._seconds = 0.0
        self._open: deque[tuple[Any, Any]] = deque()  # events before and after a wait that is not yet added

    def over(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches; the time until each comes is counted, the time between them is not."""
        source = iter(batches)
        try:
            while True:
                before = self._now()
                try:
                    batch = next(source)
                except StopIteration:
                    return
                self._add(before, self._now())
                yield batch
        finally:  # an epoch that is left in its middle lets its threads go at once
            if hasattr(source, "close"):
                source.close()

    def take(self) -> float:
        """Seconds since the last call; on a CUDA device this waits for what is queued."""
        if self._open:
            self._open[-1][1].synchronize()
        self._settle()
        taken, self._seconds = self._seconds, 0.0
        return taken

    def _now(self) -> Any:
        if not self._is_cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def _add(self, before: Any, after: Any) -> None:
        if self._is_cuda:
            self._open.append((before, after))
            self._settle()
        else:
            self._seconds += after - before

    def _settle(self) -> None:
        while self._open and self._open[0][1].query():
            before, after = self._open.popleft()
            self._seconds += before.elapsed_time(after) / 1000
