"""SIGTERM, with which cluster schedulers announce the end: save, say so, leave.

Lightning's own way would leave at the next batch without saving. Here the step in work is finished and last.ckpt
written in the middle of the epoch; the same command goes on from there and ends where it would have ended. While an
epoch is validated there is no such place, so it is finished first, which saves it.
Of several processes it is enough that one is told; all leave after the same step.
"""

import signal
import threading
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from darts_train.base.log import logger
from darts_train.training import ranks
from darts_train.training.checkpoint import LAST, KeepCheckpoints
from darts_train.training.module import SegmentationModule

EXIT_CODE = 128 + signal.SIGTERM
_log = logger("training")


class Terminated(SystemExit):
    """The process was asked to end, and everything is saved."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class LeaveOnSigterm(Callback):
    """Takes SIGTERM from Lightning when training starts; Lightning puts back what was there before.

    Only in a process's main thread: elsewhere no handler can be set, and the scheduler's signal does not come.
    """

    def __init__(self, keeper: KeepCheckpoints) -> None:
        self.keeper = keeper
        self.requested = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._request)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave between two epochs: the last one is saved."""
        if ranks.anywhere(self.requested):
            self._leave(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save and leave after a whole step, unless the epoch is over anyway."""
        assert isinstance(pl_module, SegmentationModule)
        within = pl_module.completes_step(batch_idx) and not trainer.is_last_batch
        if within and ranks.anywhere(self.requested):
            self.keeper.save_within_epoch(trainer, pl_module, batch_idx + 1)
            self._leave(trainer)

    def _request(self, *_: Any) -> None:
        self.requested = True

    def _leave(self, trainer: pl.Trainer) -> None:
        where = f"epoch {trainer.current_epoch + 1}, step {trainer.global_step}"
        _log.warning("stopped by SIGTERM in %s; %s is saved, and the same command goes on.", where, LAST)
        raise Terminated
