"""The data module: a train data directory, split, as Lightning's loaders. Usable on its own in a notebook.

    module = TrainDataModule.from_options(Data(train_data_dir=...), Split(), fold=0, batch_size=8)
    for batch in module.train_dataloader(): ...

Batches hold encoded patches (see `loading/patches.py`); decoding, normalisation and augmentation happen on the device.
"""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch

from darts_train.base.errors import UserError, nearest
from darts_train.base.hashes import hash_bytes, hash_json
from darts_train.base.log import logger
from darts_train.dataset.cache import PatchSource
from darts_train.dataset.cache_build import open_cache, require_cache_place
from darts_train.dataset.reader import TrainData
from darts_train.dataset.sample_weights import sample_weights as weights_of
from darts_train.dataset.splitting.splits import SplitIndices, make_split
from darts_train.options.learning import Data, Split
from darts_train.training.augmentation.reader import AugmentedPatches, NumberedSampler, ReaderPipeline
from darts_train.training.deriving import open_sources
from darts_train.training.hardware import ranks
from darts_train.training.loading.clock import DataClock
from darts_train.training.loading.held import HeldPatches, require_room
from darts_train.training.loading.patches import EpochSampler, Indices, PatchDataset
from darts_train.training.loading.threaded_loader import ThreadedLoader, reading_threads

HELD = ("memory", "device")  # --cache: what is no directory
_CPU = torch.device("cpu")
_log = logger("training")


def check_cache(
    cache: str | None,
    data: TrainData,
    indices: SplitIndices | None = None,
    device: torch.device = _CPU,
    processes: int = 1,
) -> None:
    """Check `--cache`; nothing is created. In main memory each of `processes` of this machine holds its own copy.

    Raises UserError where it names a directory that cannot be one, or where training and validation patches (of
    `indices`) have no room in the memory that is to hold them: main memory, or that of `device`.
    """
    if cache in HELD:
        if indices is not None:
            where = device if cache == "device" else _CPU
            copies = processes if where.type == "cpu" else 1
            require_room(held_bytes(cache, data, indices) * copies, where)
    elif cache is not None:
        place = Path(cache).expanduser()
        meant = nearest(cache, HELD)
        if meant and not place.exists():
            raise UserError(f"--cache: there is no directory {cache}{meant}.")
        require_cache_place(place, data.root)


def held_bytes(cache: str | None, data: TrainData, indices: SplitIndices) -> int:
    """Bytes of the training and validation patches where `cache` holds them in a memory, else 0."""
    return len(np.union1d(indices.train, indices.val)) * _patch_bytes(data) if cache in HELD else 0


def _patch_bytes(data: TrainData) -> int:
    x, y = data.read_many([])
    return int(np.prod(x.shape[1:]) * x.itemsize + np.prod(y.shape[1:]))


class TrainDataModule(pl.LightningDataModule):
    """Train, validation and test loaders over one split of one set.

    Args:
        data: The opened set, with the chosen bands.
        indices: Rows of the training, validation and test part.
        batch_size: Patches per batch.
        seed: Seed of the order of training patches.
        num_workers: Threads that read ahead, `auto` for as many as there are cores to spare; 0 reads when asked.
            Ignored where patches are in memory. Batches are the same whatever it says.
        in_memory: The older name of `cache="memory"`.
        cache: Where encoded patches are kept: None reads the set every time; `memory` reads training and validation
            once; `device` keeps them on `device`; a directory holds the whole set uncompressed, built once for all
            processes (see `dataset.cache`).
        device: Where the network trains; for `cache="device"`.
        sample_weights: Expression that says how often each training patch is drawn (see `dataset.sample_weights`).
        balance: Draw as many positive patches as empty ones.
        samples_per_epoch: Training patches in an epoch; None for as many as there are.
        portions: Batches that are one in the eyes of the user: an epoch has as many patches as with the whole one.
        reader: Augmentation of training patches as they are read; None where all of it is the device's.
        processes: That train together on this machine, and share its cores.

    The training order depends on (seed, epoch). The last, smaller batch of an epoch is left out where there is
    another, because statistics of one or two patches disturb batch normalisation; a part smaller than a batch is one
    batch. Validation and test keep the order of the rows and leave out nothing. Processes that train together share
    both; `batch_size` is that of each.
    """

    def __init__(
        self,
        data: TrainData,
        indices: SplitIndices,
        *,
        batch_size: int = 8,
        seed: int = 42,
        num_workers: int | str = 0,
        in_memory: bool = False,
        cache: str | None = None,
        device: torch.device = _CPU,
        sample_weights: str | None = None,
        balance: bool = False,
        samples_per_epoch: int | None = None,
        portions: int = 1,
        reader: ReaderPipeline | None = None,
        processes: int = 1,
    ) -> None:
        super().__init__()
        self.data = data
        self.indices = indices
        self.batch_size = batch_size
        self.seed = seed
        self.cache = "memory" if in_memory else cache
        check_cache(self.cache, data)
        self.weights = weights_of(data.metadata, indices.train, sample_weights, balance)
        self.samples_per_epoch = samples_per_epoch
        self.portions = portions
        self.device = device if self.cache == "device" else _CPU
        self.reader = reader
        self.threads = 0 if self.cache in HELD and reader is None else reading_threads(num_workers, processes)
        self._source: PatchSource | None = None
        self._parts: dict[str, PatchDataset | HeldPatches] = {}

    @classmethod
    def from_options(cls, data: Data, split: Split, fold: int = 0, **settings: Any) -> "TrainDataModule":
        """Open the set and split it as the commands do; `settings` go to the constructor.

        Where bands are to be derived, batches hold what they are made of (`training.deriving.DeriveLayer`).

        Raises UserError for a set, bands, split or fold that cannot be.
        """
        opened, _ = open_sources(data)
        return cls(opened, make_split(opened.metadata, split, fold, opened.config.patch_size), **settings)

    def part(self, name: str) -> PatchDataset | HeldPatches:
        """The dataset of `train`, `val` or `test`, made (and where it is held: read) when first asked for.

        Raises UserError where it is to be held and has no room.
        """
        if name not in self._parts:
            rows: Indices = getattr(self.indices, name)
            same = next((p for p in self._parts.values() if np.array_equal(p.indices, rows)), None)
            self._parts[name] = same or self._made(rows)
        return self._parts[name]

    def _made(self, rows: Indices) -> PatchDataset | HeldPatches:
        if self.cache not in HELD:
            return PatchDataset(self._opened(), rows)
        require_room(len(rows) * _patch_bytes(self.data), self.device)
        return HeldPatches(self.data, rows, self.device)

    def _opened(self) -> PatchSource:
        """What patches are read from; a cache directory is filled here, when it is first needed."""
        if self._source is None:
            is_directory = self.cache is not None and self.cache not in HELD
            self._source = (
                open_cache(Path(str(self.cache)).expanduser(), self.data) if is_directory else None
            ) or self.data
        return self._source

    def recipe(self) -> dict[str, int | str]:
        """What decides which samples are in which batch of an epoch, plain values; equal where all batches are."""
        drawn = None if self.weights is None else hash_bytes(self.weights.values.tobytes())
        rows = hash_bytes(np.asarray(self.indices.train, np.int64).tobytes())
        order = [self.data.data_hash, rows, self.seed, self.samples_per_epoch, drawn]
        return {"batch_size": self.batch_size * self.portions, "order": hash_json(order)}

    def train_dataloader(self) -> ThreadedLoader:
        """Shuffled training batches of the trainer's current epoch."""
        part = self.part("train")
        weights = None if self.weights is None else self.weights.values
        share = (ranks.rank(), ranks.count())
        sampler = EpochSampler(len(part), self.seed, self.samples_per_epoch, weights, share)
        # A resumed run must begin with the order of its epoch: Lightning's own call comes after the first prefetch.
        sampler.set_epoch(self.trainer.current_epoch if self.trainer else 0)
        resumed = getattr(self.trainer.lightning_module, "resumed", None) if self.trainer else None
        sampler.skip = resumed["samples"] // ranks.count() if resumed else 0
        clock = DataClock(self.trainer.strategy.root_device if self.trainer else _CPU)
        sampler.multiple = max(min(self.batch_size * self.portions, len(sampler)), 1)
        if self.reader is None:
            return self._loader(part, sampler=sampler, clock=clock)
        return self._loader(AugmentedPatches(part, self.reader), sampler=NumberedSampler(sampler), clock=clock)

    def val_dataloader(self) -> ThreadedLoader:
        """Validation batches, in the order of the rows; of several processes each takes its share."""
        part = self.part("val")
        return self._loader(part, sampler=range(ranks.rank(), len(part), ranks.count()))

    def test_dataloader(self) -> ThreadedLoader:
        """Test batches, in the order of the rows."""
        return self._loader(self.part("test"))

    def _loader(self, part: PatchDataset | HeldPatches | AugmentedPatches, **settings: Any) -> ThreadedLoader:
        pinned = torch.cuda.is_available() and self.device.type == "cpu"
        return ThreadedLoader(part, self.batch_size, self.threads, pin_memory=pinned, **settings)
