"""The data module: a train data directory, split, as Lightning's loaders. Usable on its own in a notebook.

    module = TrainDataModule.from_options(Data(train_data_dir=...), Split(), fold=0, batch_size=8)
    for batch in module.train_dataloader(): ...

Batches hold encoded patches (see `patches.py`); decoding, normalisation and augmentation happen on the device.
"""

from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import DataLoader

from darts_train.base.errors import UserError, nearest
from darts_train.base.log import logger
from darts_train.dataset.cache import PatchSource
from darts_train.dataset.cache_build import open_cache, require_cache_place
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splits import SplitIndices, make_split
from darts_train.options.learning import Data, Split
from darts_train.training.patches import Batch, EpochSampler, Indices, PatchDataset, as_is

HELD = ("memory", "device")  # --cache: what is no directory
_log = logger("training")


def check_cache(cache: str | None, data: TrainData) -> None:
    """Raise UserError where `--cache` names a directory that cannot be one; nothing is created."""
    if cache is None or cache in HELD:
        return
    place = Path(cache).expanduser()
    meant = nearest(cache, HELD)
    if meant and not place.exists():
        raise UserError(f"--cache: there is no directory {cache}{meant}.")
    require_cache_place(place, data.root)


class TrainDataModule(pl.LightningDataModule):
    """Train, validation and test loaders over one split of one set.

    Args:
        data: The opened set, with the chosen bands.
        indices: Rows of the training, validation and test part.
        batch_size: Patches per batch.
        seed: Seed of the order of training patches.
        num_workers: Processes that read; 0 reads in this one. Ignored where patches are in memory.
        in_memory: The older name of `cache="memory"`.
        cache: Where encoded patches are kept: None reads the set every time; `memory` reads training and validation
            once; a directory holds the whole set uncompressed, built once for all processes (see `dataset.cache`).

    The training order depends on (seed, epoch). The last, smaller batch of an epoch is left out where there is
    another, because statistics of one or two patches disturb batch normalisation; a part smaller than a batch is one
    batch. Validation and test keep the order of the rows and leave out nothing.
    """

    def __init__(
        self,
        data: TrainData,
        indices: SplitIndices,
        *,
        batch_size: int = 8,
        seed: int = 42,
        num_workers: int = 0,
        in_memory: bool = False,
        cache: str | None = None,
    ) -> None:
        super().__init__()
        self.data = data
        self.indices = indices
        self.batch_size = batch_size
        self.seed = seed
        self.cache = "memory" if in_memory else cache
        check_cache(self.cache, data)
        self.num_workers = 0 if self.cache in HELD else num_workers
        if self.cache in HELD and num_workers:
            _log.info("--num-workers has no effect with patches in memory: there is nothing left to read.")
        self._source: PatchSource | None = None
        self._parts: dict[str, PatchDataset] = {}

    @classmethod
    def from_options(cls, data: Data, split: Split, fold: int = 0, **settings: Any) -> "TrainDataModule":
        """Open the set and split it as the commands do; `settings` go to the constructor.

        Raises UserError for a set, bands, split or fold that cannot be.
        """
        opened = TrainData.open(data.train_data_dir, data.bands)
        return cls(opened, make_split(opened.metadata, split, fold), **settings)

    def part(self, name: str) -> PatchDataset:
        """The dataset of `train`, `val` or `test`, made (and in memory: read) when first asked for."""
        if name not in self._parts:
            rows: Indices = getattr(self.indices, name)
            same = next((p for p in self._parts.values() if np.array_equal(p.indices, rows)), None)
            self._parts[name] = same or PatchDataset(self._opened(), rows, self.cache in HELD)
        return self._parts[name]

    def _opened(self) -> PatchSource:
        """What patches are read from; a cache directory is filled here, when it is first needed."""
        if self._source is None:
            is_directory = self.cache is not None and self.cache not in HELD
            self._source = (
                open_cache(Path(str(self.cache)).expanduser(), self.data) if is_directory else None
            ) or self.data
        return self._source

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled training batches of the trainer's current epoch."""
        part = self.part("train")
        sampler = EpochSampler(len(part), self.seed)
        # A resumed run must begin with the order of its epoch: Lightning's own call comes after the first prefetch.
        sampler.set_epoch(self.trainer.current_epoch if self.trainer else 0)
        return self._loader(part)(sampler=sampler, drop_last=len(part) > self.batch_size)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Validation batches, in the order of the rows."""
        return self._loader(self.part("val"))()

    def test_dataloader(self) -> DataLoader[Batch]:
        """Test batches, in the order of the rows."""
        return self._loader(self.part("test"))()

    def _loader(self, part: PatchDataset) -> "partial[DataLoader[Batch]]":
        return partial(
            DataLoader,
            part,
            batch_size=self.batch_size,
            collate_fn=as_is,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            # Not fork: zarr and torch run threads in this process, and a fork copies their locks as they are.
            multiprocessing_context="spawn" if self.num_workers else None,
            pin_memory=torch.cuda.is_available(),
        )
