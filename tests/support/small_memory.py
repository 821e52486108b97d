"""A device that is too small: a step of more patches than it has room for ends as on one without memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from darts_train.training.module import SegmentationModule

CUDA = "CUDA out of memory. Tried to allocate 2.00 GiB."
CPU = "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"


@contextmanager
def room_for(patches: int | Callable[[int], int], text: str = CUDA) -> Iterator[list[int]]:
    """Room for so many patches in training, or for as many as is said at each further step; `text` is the error's.

    Gives the rows of the patches that were learned from, in their order.
    """
    logits, step = SegmentationModule._logits, SegmentationModule.training_step
    learned: list[int] = []
    calls = [0]

    def limited(self, x):
        calls[0] += self.training
        if self.training and len(x) > (patches if isinstance(patches, int) else patches(calls[0])):
            raise torch.OutOfMemoryError(text) if text == CUDA else RuntimeError(text)
        return logits(self, x)

    def noted(self, batch, batch_idx):
        loss = step(self, batch, batch_idx)
        learned.extend(batch["index"].tolist())
        return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SegmentationModule, "_logits", limited)
        patch.setattr(SegmentationModule, "training_step", noted)
        yield learned
