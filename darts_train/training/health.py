"""How well an epoch used its device: how long it waited for data, how many patches a second went through it,
and which share of what it can compute that is.

Only clocks are read, so nothing that is learned changes.
"""

import time
from typing import Any, cast

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from darts_train.base.log import logger
from darts_train.options.learning import Precision
from darts_train.training.hardware import ranks
from darts_train.training.hardware.flops import device_peak, patch_flops, utilisation
from darts_train.training.loading.patches import Batch
from darts_train.training.module import SegmentationModule
from darts_train.training.names import DATA_WAIT, MFU, SAMPLES_PER_SECOND

MUCH = 0.3  # share of an epoch from which on a word about waiting is due
_log = logger("training")


class EpochHealth(Callback):
    """Gives the module the health of each epoch before it writes the epoch's row. Validation is not counted."""

    def __init__(self) -> None:
        self._told = False
        self._peak: float | None = None
        self._flops: dict[bool, float | None] = {}  # of a patch, by whether the encoder is frozen

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """An epoch that is taken up in its middle is not announced: its health is that of the part trained here."""
        precision = cast(Precision, trainer.precision.removesuffix("-true"))  # Lightning's word for 32
        self._peak = device_peak(trainer.strategy.root_device, precision)
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the epoch's clock."""
        self._started, self._apart, self._samples = time.perf_counter(), 0.0, 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Count the batch's patches."""
        self._samples += len(batch["y"])

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop the clock."""
        self._paused = time.perf_counter()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let it go on."""
        self._apart += time.perf_counter() - self._paused

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Lightning calls this before the module's own."""
        clock = getattr(trainer.train_dataloader, "clock", None)
        waited = clock.take() if clock is not None else 0.0
        seconds = max(time.perf_counter() - self._started - self._apart, 1e-9)
        share = min(waited / seconds, 1.0)
        speed = self._samples * ranks.count() / seconds
        mfu = utilisation(speed / ranks.count(), self._patch_flops(cast(SegmentationModule, pl_module)), self._peak)
        known = {} if mfu is None else {MFU: mfu}
        pl_module.health = {DATA_WAIT: share, SAMPLES_PER_SECOND: speed, **known}  # type: ignore[assignment]
        if share > MUCH and trainer.current_epoch and not self._told:  # the first epoch also warms files up
            self._told = True
            _log.info("%.0f %% of the epoch went by waiting for data; `darts bench` says what to change.", 100 * share)

    def _patch_flops(self, module: SegmentationModule) -> float | None:
        """Operations for a patch, counted once for the whole network, and once while its encoder is frozen."""
        if self._peak is None:
            return None
        frozen = not all(parameter.requires_grad for parameter in module.model.parameters())
        if frozen not in self._flops:
            self._flops[frozen] = patch_flops(module)
        return self._flops[frozen]
