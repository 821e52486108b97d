"""SIGTERM, with which cluster schedulers announce the end, and Ctrl+C: save, say so, leave.

Lightning's own way of SIGTERM would leave at the next batch without saving. Here the step in work is finished and
last.ckpt written in the middle of the epoch; the same command goes on from there and ends where it would have ended.
While an epoch is validated there is no such place, so it is finished first, which saves it.

The first Ctrl+C lets the epoch in work end, which saves it; the second one leaves at once, and loses that epoch.
Of several processes it is enough that one is told; all leave after the same step.
"""

import signal
import threading
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from darts_train.base.log import logger
from darts_train.training.checkpoints.checkpoint import LAST, KeepCheckpoints
from darts_train.training.hardware import ranks
from darts_train.training.module import SegmentationModule

EXIT_CODE = 128 + signal.SIGTERM
_log = logger("training")


class Terminated(SystemExit):
    """The process was asked to end, and everything is saved."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class LeaveOnSignals(Callback):
    """Takes SIGTERM and Ctrl+C when training starts; Lightning and `fit` put back what was there before.

    Only in a process's main thread: elsewhere no handler can be set, and the scheduler's signal does not come. Where
    Ctrl+C is ignored, as in the background of a shell, it stays so.
    """

    def __init__(self, keeper: KeepCheckpoints) -> None:
        self.keeper = keeper
        self.requested = False
        self.interrupted = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Listen."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._request)
            if signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
                signal.signal(signal.SIGINT, self._interrupt)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave between two epochs: the last one is saved."""
        if ranks.anywhere(self.interrupted):
            self._leave(trainer, "Ctrl+C", KeyboardInterrupt())
        if ranks.anywhere(self.requested):
            self._leave(trainer, "SIGTERM", Terminated())

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save and leave after a whole step, unless the epoch is over anyway."""
        assert isinstance(pl_module, SegmentationModule)
        within = pl_module.completes_step(batch_idx) and not trainer.is_last_batch
        if within and ranks.anywhere(self.requested):
            self.keeper.save_within_epoch(trainer, pl_module, batch_idx + 1)
            self._leave(trainer, "SIGTERM", Terminated())

    def _request(self, *_: Any) -> None:
        self.requested = True

    def _interrupt(self, *_: Any) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        _log.warning("Ctrl+C: the epoch in work is finished first; Ctrl+C once more leaves at once.")

    def _leave(self, trainer: pl.Trainer, what: str, way: BaseException) -> None:
        where = f"epoch {trainer.current_epoch + 1}, step {trainer.global_step}"
        _log.warning("stopped by %s in %s; %s is saved, and the same command goes on.", what, where, LAST)
        raise way
