"""A run that somebody watches: after every validation its scores are shown, and it ends where they are hopeless.

The epoch is saved first, so that the run goes on from there should anybody want it after all.
"""

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from darts_train.training.module import SegmentationModule
from darts_train.training.stopping.pruned import OnValidation, PrunedError


class ShowsValidations(Callback):
    """Asks after every validation, and ends training before the next epoch. The last epoch is not in question."""

    def __init__(self, ask: OnValidation) -> None:
        self.ask = ask
        self.reason: str | None = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Ask; checkpoints are written only after this."""
        assert isinstance(pl_module, SegmentationModule)
        if pl_module.val_metrics is not None:
            self.reason = self.ask(trainer.current_epoch + 1, pl_module.val_metrics)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave, now that the epoch is saved."""
        if self.reason is not None:
            raise PrunedError(self.reason)
