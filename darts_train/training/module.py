"""The network in training: codes come in, are decoded, augmented and segmented on the device; losses go out.

Stateless where a resumed run must repeat an uninterrupted one: the learning rate is a function of the epoch, and
every draw within a step (augmentation, dropout) a function of the run's seed and the step. Nothing of that is in the
checkpoint, so nothing of it can be restored wrongly.

`hyper_parameters["config"]` of its checkpoints describes the model completely (see `models/model_file.py`), in plain
types, so they load with `weights_only=True`.
"""

import time
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from darts_train.base.log import logger
from darts_train.metrics.names import MONITOR
from darts_train.metrics.state import SegmentationMetrics, metric_names
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.models.model_config import NetworkArguments
from darts_train.training.augmentation import augmented_batch, step_generator
from darts_train.training.losses import FocalLoss
from darts_train.training.patches import Batch
from darts_train.training.seeds import DROPOUT, INIT, mixed_seed

_log = logger("training")


class TrainingError(RuntimeError):
    """A run cannot go on with its settings (diverged, no memory left); another run may. The message is one line."""


class SegmentationModule(pl.LightningModule):
    """A segmentation network with its loss, optimiser and metrics.

    Args:
        config: The model, from `models.model_file.make_model_config`.
        learning_rate: Step size of AdamW in the first epoch.
        gamma: Factor on the learning rate after every epoch.
        augment: Whether to augment training patches.
        focal_loss_alpha: See `losses.FocalLoss`.
        focal_loss_gamma: See `losses.FocalLoss`.
        random_seed: Seed of initial weights, augmentation and dropout.
        run: Names of the run (run_name, run_id, cv_name, tune_name), kept in the checkpoint.
        pretrained: Fetch `encoder_weights`; False where a checkpoint replaces them anyway.
    """

    def __init__(
        self,
        config: dict[str, Any],
        learning_rate: float = 1e-3,
        gamma: float = 0.9,
        augment: bool = True,
        focal_loss_alpha: float | None = None,
        focal_loss_gamma: float = 2.0,
        random_seed: int = 42,
        run: dict[str, str] | None = None,
        pretrained: bool = True,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["pretrained"])
        self.learning_rate, self.gamma, self.augment, self.seed = learning_rate, gamma, augment, random_seed
        self.classes: tuple[str, ...] = tuple(config["classes"])
        self.ignore_index = int(config["ignore_index"])
        self.spec = InputSpecification.from_config(config)
        self.input = InputLayer(self.spec)
        # Convolutions on a CPU are a quarter faster with channels last, on CUDA devices more.
        self.model = _seeded_network(config, random_seed, pretrained).to(memory_format=torch.channels_last)
        self.loss = FocalLoss(len(self.classes), focal_loss_alpha, focal_loss_gamma, self.ignore_index)
        self.val_metrics: dict[str, float] | None = None  # of this epoch, None where it was not validated
        self.last_val_metrics: dict[str, float] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Logits [n, 1 or classes, h, w] of encoded patches [n, c, h, w]."""
        return self._logits(self.input(x))

    def _logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(x.contiguous(memory_format=torch.channels_last))
        return logits

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; its learning rate is set anew at the start of every epoch."""
        return torch.optim.AdamW(self.model.parameters(), self.learning_rate)

    def on_train_epoch_start(self) -> None:
        """Set the epoch's learning rate, lr·gamma^epoch (what ExponentialLR gives), and begin its sums."""
        for group in self.optimizers().param_groups:  # type: ignore[union-attr]
            group["lr"] = self.learning_rate * self.gamma**self.current_epoch
        self.val_metrics = None
        self._epoch_started = time.monotonic()
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self._steps = 0

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed what the network itself draws (dropout, stochastic depth) from the step."""
        torch.manual_seed(mixed_seed(self.seed, DROPOUT, self.global_step))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Focal loss of one augmented batch."""
        x, y = self._augmented(batch["x"], batch["y"]) if self.augment else (self.input(batch["x"]), batch["y"])
        logits = self._logits(x)
        loss = self.loss(logits, y)
        self._loss_sum += loss.detach()
        self._steps += 1
        self._check_finite()
        if self._is_logged_step():
            self._record(self._step_metrics(logits, y, loss), self.global_step)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Begin to count."""
        self._counted = SegmentationMetrics(self.classes, self.ignore_index, self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count one batch."""
        logits = self(batch["x"])
        self._counted.update(logits, batch["y"], self.loss.total(logits, batch["y"])[0])

    def on_validation_epoch_end(self) -> None:
        """Compute the metrics; also under `trainer.callback_metrics`. Raises TrainingError for a loss without value."""
        metrics = self._counted.compute("val/")
        if not torch.isfinite(self._counted.loss_sum):
            raise TrainingError(self._diverged("validation"))
        self.val_metrics = self.last_val_metrics = metrics
        self.log_dict(metrics, logger=False)

    def on_train_epoch_end(self) -> None:
        """Write the epoch's row. It runs before checkpoints are saved, so none is ahead of metrics.csv."""
        loss = float(self._loss_sum) / self._steps
        rate = self.optimizers().param_groups[0]["lr"]  # type: ignore[union-attr]
        row = {"learning_rate": rate, "train/loss_epoch": loss, **(self.val_metrics or {})}
        self._record(row, self.global_step - 1)
        if self.val_metrics is not None:
            of = self.trainer.max_epochs
            score, seconds = self.val_metrics[MONITOR], time.monotonic() - self._epoch_started
            line = "epoch %d/%d: train loss %.4g, val loss %.4g, val IoU %.4f (%.1f s)"
            _log.info(line, self.current_epoch + 1, of, loss, self.val_metrics["val/loss"], score, seconds)

    def _augmented(self, codes: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        generator = step_generator(self.seed, self.global_step, self.device)
        optical = [band.optical for band in self.spec.bands]
        return augmented_batch(codes, y, self.input, optical, self.spec.nodata_fill, generator)

    def _step_metrics(self, logits: Tensor, y: Tensor, loss: Tensor) -> dict[str, float]:
        state = SegmentationMetrics(self.classes, self.ignore_index, self.device)
        state.update(logits.detach(), y, torch.zeros((), device=self.device))
        found = state.compute() | {"loss": float(loss.detach())}
        return {f"train/{name}": found[name] for name in metric_names(self.classes, curves=False)}

    def _is_logged_step(self) -> bool:
        return (self.global_step + 1) % self.trainer.log_every_n_steps == 0  # type: ignore[attr-defined, no-any-return]

    def _record(self, metrics: dict[str, float], step: int) -> None:
        for tracker in self.loggers:
            tracker.log_metrics({"epoch": self.current_epoch, **metrics}, step)

    def _check_finite(self) -> None:
        """Raise TrainingError for a loss that is not finite: at once on the CPU, else before anything is kept.

        Looking at a number on a CUDA device waits for it, so there it is done at logged steps and the epoch's last.
        """
        look = self.device.type == "cpu" or self._is_logged_step() or self.trainer.is_last_batch
        if look and not torch.isfinite(self._loss_sum):
            raise TrainingError(self._diverged("training"))

    def _diverged(self, what: str) -> str:
        return (
            f"the {what} loss is not finite in epoch {self.current_epoch + 1}, step {self.global_step + 1}; "
            f"try a --learning-rate below {self.learning_rate:g}."
        )


def _seeded_network(config: dict[str, Any], seed: int, pretrained: bool) -> torch.nn.Module:
    """The network with initial weights that depend on the seed alone; the caller's generator is left as it was."""
    model = NetworkArguments.model_validate(config["model"])
    weights = config["model"].get("encoder_weights") if pretrained else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mixed_seed(seed, INIT, 0))
        return create_network(
            model.arch, model.encoder_name, weights, model.in_channels, len(config["classes"]), model.options()
        )
