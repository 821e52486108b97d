"""Patches in batches, read from a set or its cache (what is held in memory: `loading/held.py`).

A batch is a dictionary of tensors: `x` [n, c, h, w] int16 (uint16 codes seen as int16, which every device can hold) or
float32 (older sets), `y` uint8 [n, h, w], `index` int64 [n], the rows of the set. Nothing is decoded here: codes are
half the bytes of float32 on their way to the device, and the arithmetic belongs to the network's input layer.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from darts_train.dataset.cache import PatchSource
from darts_train.training.seeds import ORDER, mixed_seed

Batch = dict[str, Tensor]
Indices = npt.NDArray[np.int64]


class PatchDataset(Dataset[Batch]):
    """Rows of a set, or of its cache, read a batch at a time, by as many threads as want to.

    Position i of the dataset is row `indices[i]` of the set.
    """

    def __init__(self, data: PatchSource, indices: Indices) -> None:
        self.data = data
        self.indices = np.asarray(indices, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """A batch, already stacked: one call per batch instead of one per patch. Raises UserError for damaged data."""
        rows = self.indices[list(positions)]
        x, y = self.data.read_many(rows)
        return {"x": as_tensor(x), "y": torch.from_numpy(y), "index": torch.from_numpy(rows)}


class EpochSampler(Sampler[int]):
    """The positions of an epoch, in an order that depends on (seed, epoch) alone, so resuming repeats it.

    Args:
        count: Number of positions there are.
        seed: Seed of the run.
        samples: Number of positions in an epoch; None for all. Without weights none comes twice before all came once.
        weights: How often each is drawn, with replacement, float64 [count]; None for a shuffled order.
        share: Rank and number of processes that share an epoch. Each takes every so many-th position of the common
            order, and all the same number: of 11 positions two processes take five each.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        samples: int | None = None,
        weights: npt.NDArray[np.float64] | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.count = count
        self.seed = seed
        self.samples = count if samples is None else samples
        self.weights = weights
        self.share = share
        self.epoch = 0
        self.skip = 0  # own positions that the next iteration leaves out, since they were trained on before a restart
        self.multiple = 1  # of which each process has a whole number of positions; the others are left out

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next iteration; Lightning calls it too."""
        self.epoch = epoch

    def __len__(self) -> int:
        own = self.samples // self.share[1]
        return own // self.multiple * self.multiple if self.count else 0

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(mixed_seed(self.seed, ORDER, self.epoch))
        skip, self.skip = self.skip, 0
        order = self._shuffled(generator) if self.weights is None else self._drawn(self.weights, generator)
        rank, ranks = self.share
        yield from order[rank::ranks].tolist()[skip : len(self)]

    def _shuffled(self, generator: torch.Generator) -> Tensor:
        rounds = max(-(-self.samples // self.count), 1) if self.count else 1
        return torch.cat([torch.randperm(self.count, generator=generator) for _ in range(rounds)])[: self.samples]

    def _drawn(self, weights: npt.NDArray[np.float64], generator: torch.Generator) -> Tensor:
        """Inverse of the cumulated weights at uniform numbers; a weight of 0 is never drawn."""
        bounds = torch.from_numpy(np.cumsum(weights))
        places = torch.rand(self.samples, dtype=torch.float64, generator=generator) * bounds[-1]
        last = int(np.flatnonzero(weights)[-1])
        return torch.searchsorted(bounds, places, right=True).clamp(max=last)


def as_is(batch: Any) -> Any:
    """The collate function: `__getitems__` has stacked the batch."""
    return batch


def as_tensor(x: npt.NDArray[np.generic]) -> Tensor:
    """Patches as a tensor over the same memory; uint16 codes become int16."""
    return torch.from_numpy(x.view(np.int16) if x.dtype == np.uint16 else x)
