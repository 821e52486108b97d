"""One call of Lightning's trainer, with everything that must be the same in every run set here.

What Lightning does: the loops, devices, mixed precision. What it does not: its checkpoint, early-stopping and CSV
callbacks are replaced by ones that survive a kill (`checkpoints/checkpoint.py`, `tracking/trackers.py`), its chatter is
silenced, and its way of leaving the process on Ctrl+C is turned back into a KeyboardInterrupt.
"""

import logging
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback

from darts_train.base.errors import UserError
from darts_train.options.learning import Hyperparameters, Training
from darts_train.training.checkpoints.checkpoint import AtomicCheckpointIO, KeepCheckpoints
from darts_train.training.errors import UntrainableError
from darts_train.training.hardware.compiling import first_line, is_of_compiling
from darts_train.training.hardware.devices import arithmetic, resolve_device, resolve_precision
from darts_train.training.hardware.memory import NEEDS_TWO, OutOfMemory, is_out_of_memory
from darts_train.training.hardware.ranks import (
    AddsUpValidation,
    Place,
    World,
    trainer_settings,
    without_lightnings_vote,
)
from darts_train.training.health import EpochHealth
from darts_train.training.loading.data_module import TrainDataModule
from darts_train.training.module import SegmentationModule
from darts_train.training.stopping.pruned import PrunedError
from darts_train.training.stopping.termination import LeaveOnSignals
from darts_train.training.tracking.services import ServiceTracker
from darts_train.training.tracking.trackers import FileTracker

_WORKER = "in DataLoader worker process"


def fit(
    module: SegmentationModule,
    data: TrainDataModule,
    training: Training,
    device: torch.device,
    keeper: KeepCheckpoints,
    trackers: Sequence[FileTracker | ServiceTracker],
    callbacks: Sequence[Callback] = (),
    start: Path | None = None,
    world: World | None = None,
) -> None:
    """Train until `max_epochs`, or until validation no longer gains; from the checkpoint `start` where one is given.

    Validates every `check_val_every_n_epoch` epochs and always after the last one, so that there is a best checkpoint
    however the two numbers relate. `world`: the processes that train together, where they have met.

    Raises:
        OutOfMemory: the device has too little memory.
        TrainingError: the loss diverged.
        UserError: damaged data or checkpoint.
        KeyboardInterrupt: Ctrl+C, when the epoch in work is done, or at once where it comes twice; last.ckpt is that of
            the last completed epoch.
        PrunedError: whoever watches the run stopped it; last.ckpt is that of the last completed epoch.
        SystemExit: SIGTERM; last.ckpt is that of the last completed step.
    """
    signals = LeaveOnSignals(keeper)
    every = [_LastEpochIsValidated(training), EpochHealth(), *callbacks, signals, keeper]
    trainer = _trainer(training, module.settings, device, every, trackers, world)
    handler = signal.getsignal(signal.SIGINT)
    try:
        with quiet_lightning(), arithmetic(device):
            trainer.fit(module, datamodule=data, ckpt_path=str(start) if start else None, weights_only=True)
    except SystemExit as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    except PrunedError:
        raise
    except Exception as error:
        raise explained(error, data.batch_size) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)  # Lightning ignores it from the first Ctrl+C on, for ever
    if signals.interrupted:  # in the last epoch; whoever goes on with other runs is to hear of it
        raise KeyboardInterrupt


def _trainer(
    training: Training,
    settings: Hyperparameters,
    device: torch.device,
    callbacks: list[Callback],
    trackers: Sequence[FileTracker | ServiceTracker],
    world: World | None,
) -> pl.Trainer:
    accelerator, devices = resolve_device(str(device))
    where: dict[str, Any] = {"accelerator": accelerator, "devices": devices}
    if world:
        where = trainer_settings(world)
    plugins: list[Any] = [AtomicCheckpointIO(), *([Place(world)] if world else [])]
    with quiet_lightning():
        trainer = pl.Trainer(
            **where,
            precision=resolve_precision(training.precision, device),  # type: ignore[arg-type]
            max_epochs=training.max_epochs,
            check_val_every_n_epoch=training.check_val_every_n_epoch,
            log_every_n_steps=training.log_every_n_steps,
            accumulate_grad_batches=settings.accumulate_grad_batches,
            gradient_clip_val=settings.gradient_clip or None,
            num_sanity_val_steps=0,
            logger=list(trackers),
            callbacks=[*([AddsUpValidation()] if world else []), *callbacks],
            plugins=plugins,
            enable_progress_bar=sys.stderr.isatty() and not (world and world.rank),
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        if world:
            without_lightnings_vote(trainer)
        return trainer


class _LastEpochIsValidated(Callback):
    """Makes Lightning validate after the last epoch, too; it asks this number at the end of every epoch."""

    def __init__(self, training: Training) -> None:
        self.every = training.check_val_every_n_epoch
        self.epochs = training.max_epochs

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.on_train_epoch_start(trainer, pl_module)  # not called for an epoch that is taken up in its middle

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.check_val_every_n_epoch = 1 if trainer.current_epoch + 1 >= self.epochs else self.every


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence Lightning's messages and the warnings about choices that were made on purpose."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [log.level for log in loggers]
    for log in loggers:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\..*")
            warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            yield
    finally:
        for log, level in zip(loggers, levels, strict=True):
            log.setLevel(level)


def explained(error: Exception, batch_size: int) -> Exception:
    """The error a user can act on, where this is one; else the error itself."""
    text = str(error)
    if isinstance(error, UserError) and _WORKER in text:  # torch prepends the worker's traceback
        return UserError(text.rstrip().rsplit("UserError: ", 1)[-1])
    if is_out_of_memory(error):
        return OutOfMemory(f"the device has too little memory for --batch-size {batch_size}; take a smaller one.")
    if is_of_compiling(error):
        return UntrainableError(f"--compile: torch cannot compile this network ({first_line(error)}); leave it out.")
    if "modified by an inplace operation" in text:
        return UntrainableError(
            "--gradient-checkpointing does not go with this encoder, which overwrites; leave it out."
        )
    if NEEDS_TWO in text:
        return UntrainableError(
            "batch normalisation of this network needs two patches or more; take a larger --batch-size."
        )
    return error
