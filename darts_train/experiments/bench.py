"""What limits a training on this machine: the network, the loader, or that both want the same cores.

Three rates are measured with the options of a run: the network on one batch that stays where it is, the loader with
nobody waiting for its batches, and both together. Nothing is written, a cache directory neither: patches come from a
cache only where it is already there.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from darts_train.base.errors import UserError
from darts_train.base.executor import core_count
from darts_train.dataset.cache import CacheShape
from darts_train.dataset.splitting.splits import SplitIndices
from darts_train.experiments.bench_result import BenchResult
from darts_train.experiments.one_run.augmentation_file import with_read_augmentations
from darts_train.experiments.one_run.network import make_module
from darts_train.experiments.one_run.settings import PreparedRun, check_reader, make_reader, prepare_run
from darts_train.experiments.one_run.world import choose_devices
from darts_train.options.learning import Data, Device, Devices, Hyperparameters, Run, Split, Training
from darts_train.options.tools import Bench
from darts_train.training.bare import BareSteps
from darts_train.training.fit import explained
from darts_train.training.hardware.compiling import check_compiling
from darts_train.training.hardware.devices import arithmetic, resolve_precision
from darts_train.training.hardware.flops import device_peak, patch_flops, utilisation
from darts_train.training.loading.data_module import HELD, TrainDataModule, check_cache
from darts_train.training.loading.patches import Batch
from darts_train.training.losses.build import training_pixels, with_numbers
from darts_train.training.module import TrainingError

MOST_HELD = 64  # batches that are read into memory or onto the device for the measurement
WARM_UP = 2  # steps


def bench(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    run: Run,
    device: Device,
    measured: Bench,
    devices: Devices | None = None,
) -> BenchResult:
    """Measure for `measured.bench_seconds` each: network alone, loader alone, both.

    Raises UserError as a run with these settings would before its first epoch. Of a set that is larger than main
    memory the loader's rate is that of the patches that were met.
    """
    hyperparameters = with_read_augmentations(hyperparameters)
    device, _ = choose_devices(devices or Devices(), device)
    prepared = prepare_run(data, split, hyperparameters, device, run.fold)
    precision = resolve_precision(training.precision, prepared.device)
    check_compiling(training, prepared.device)
    check_cache(training.kept_in, prepared.data, prepared.indices, prepared.device)
    check_reader(hyperparameters, training.kept_in, prepared.device)
    loader = _data_module(prepared, hyperparameters, training, run.random_seed)
    h = with_numbers(hyperparameters, lambda: training_pixels(prepared.data, prepared.indices.train))
    steps = BareSteps(make_module(prepared, h, training, run.random_seed), precision, prepared.device)
    state = torch.random.get_rng_state()
    try:
        with arithmetic(prepared.device):
            torch.manual_seed(run.random_seed)
            batch = next(_batches(loader))
            resident = {name: part.to(prepared.device) for name, part in batch.items()}
            for _ in range(WARM_UP):
                steps(resident)
            network = _rate(_again(resident), steps, steps.wait, measured.bench_seconds)
            reading = _rate(_batches(loader), _nothing, steps.wait, measured.bench_seconds)
            both = _rate(_batches(loader), steps, steps.wait, measured.bench_seconds)
    except Exception as error:
        known = explained(error, hyperparameters.batch_size)
        raise UserError(str(known)) if isinstance(known, TrainingError) else known from error
    finally:
        torch.random.set_rng_state(state)
    return BenchResult(
        network=network, loader=reading, together=both, batch_size=len(batch["y"]), device=str(prepared.device),
        precision=precision, cache=loader.cache, threads=loader.threads, cores=core_count(),
        mfu=_mfu(steps, both, device_peak(prepared.device, precision)),
    )  # fmt: skip


def _rate(batches: Iterator[Batch], use: Callable[[Batch], None], wait: Callable[[], None], seconds: float) -> float:
    """Patches per second over at least `seconds` and two batches; the first batch is not counted."""
    use(next(batches))
    wait()
    start, count, used = time.perf_counter(), 0, 0
    while used < 2 or time.perf_counter() - start < seconds:
        batch = next(batches)
        use(batch)
        count, used = count + len(batch["y"]), used + 1
    wait()
    return count / max(time.perf_counter() - start, 1e-9)


def _mfu(steps: BareSteps, rate: float, peak: float | None) -> float | None:
    return None if peak is None else utilisation(rate, patch_flops(steps.module), peak)


def _nothing(batch: Batch) -> None:
    """The loader's batches are not used."""


def _again(batch: Batch) -> Iterator[Batch]:
    while True:
        yield batch


def _batches(loader: TrainDataModule) -> Iterator[Batch]:
    """Training batches, epoch after epoch."""
    while True:
        yield from loader.train_dataloader()


def _data_module(prepared: PreparedRun, h: Hyperparameters, training: Training, seed: int) -> TrainDataModule:
    cache, train = training.kept_in, prepared.indices.train
    if cache in HELD:
        train = train[: MOST_HELD * h.batch_size]
    elif cache is not None and not CacheShape.of(prepared.data).is_whole(_cache_file(cache, prepared)):
        cache = None
    empty = np.empty(0, np.int64)
    indices = SplitIndices(train, empty, empty)
    return TrainDataModule(
        prepared.data, indices, batch_size=h.batch_size, seed=seed, num_workers=training.num_workers, cache=cache,
        device=prepared.device, reader=make_reader(h, prepared, seed),
    )  # fmt: skip


def _cache_file(cache: str, prepared: PreparedRun) -> Path:
    return CacheShape.of(prepared.data).path(Path(cache).expanduser())
