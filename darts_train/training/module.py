"""The network in training: codes come in, are decoded, augmented and segmented on the device; losses go out.

Stateless where a resumed run must repeat an uninterrupted one: the learning rate is a function of epoch and step, and
every draw within a step (augmentation, dropout) a function of the run's seed, the step and the rank. Nothing of that is
in the checkpoint, so nothing of it can be restored wrongly. What cannot be computed is in the checkpoint: how often a
plateau lowered the rate, the average of the weights, and the sums of an epoch that was left in its middle.

`hyper_parameters["config"]` of its checkpoints describes the model completely (see `models/model_file.py`), in plain
types, so they load with `weights_only=True`.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from darts_train.base.log import logger
from darts_train.features.derived import Derivation
from darts_train.metrics.names import MONITOR
from darts_train.metrics.state import SegmentationMetrics, metric_names
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.models.model_config import NetworkArguments, read_model_config
from darts_train.options.learning import Hyperparameters
from darts_train.training.augmentation.albumentations_library import pipeline_tree
from darts_train.training.augmentation.pipeline import Pipeline
from darts_train.training.augmentation.usual import USUAL, step_seed
from darts_train.training.checkpoints.mid_epoch import MID_EPOCH, left, taken_up
from darts_train.training.deriving import DeriveLayer, input_layer
from darts_train.training.errors import TrainingError as TrainingError
from darts_train.training.hardware import ranks
from darts_train.training.loading.mixing import Mixed, Mixing, finished
from darts_train.training.loading.patches import Batch
from darts_train.training.losses.build import make_loss
from darts_train.training.names import SAMPLES_PER_SECOND, STEP_RATE
from darts_train.training.optimising.averaging import AveragedWeights, restore_trained
from darts_train.training.optimising.optimisers import make_optimiser, set_frozen
from darts_train.training.optimising.schedules import Position, Rate, Schedule, set_rate
from darts_train.training.seeds import DROPOUT, INIT, mixed_seed

PREFIX = "model."  # of the network's weights in a state dict
PLATEAU = "darts_train.plateau"  # in checkpoints
_log = logger("training")


class SegmentationModule(pl.LightningModule):
    """A segmentation network with its loss, optimiser and metrics.

    Args:
        config: The model, from `models.model_file.make_model_config`.
        learning_rate: Step size of the optimiser; where it is scheduled, its greatest.
        gamma: Factor on the learning rate after every epoch, where the schedule is exponential.
        augment: Whether to augment training patches.
        focal_loss_alpha: See `losses.FocalLoss`.
        focal_loss_gamma: See `losses.FocalLoss`.
        random_seed: Seed of initial weights, augmentation and dropout.
        run: Names of the run (run_name, run_id, cv_name, tune_name), kept in the checkpoint.
        pretrained: Fetch `encoder_weights`; False where a checkpoint replaces them anyway.
        recipe: Further fields of `options.learning.Hyperparameters` that are not at their defaults (loss, optimiser,
            schedule, …), plain values, `auto` already a number.
        derivation: How the network's bands are made of those in a batch (`--derive-bands`); None: they are these.
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
        recipe: Mapping[str, Any] | None = None,
        derivation: Derivation | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["pretrained", "derivation", *([] if recipe else ["recipe"])])
        self.augment, self.seed = augment, random_seed
        self.settings = Hyperparameters(
            learning_rate=learning_rate, gamma=gamma, focal_loss_alpha=focal_loss_alpha,
            focal_loss_gamma=focal_loss_gamma, **_from_plain(recipe or {}),
        )  # fmt: skip
        self.classes: tuple[str, ...] = tuple(config["classes"])
        self.ignore_index = int(config["ignore_index"])
        self.spec = InputSpecification.from_config(config)
        self.fit = read_model_config(config).fitting
        self.input = input_layer(self.spec, self.fit.marked, derivation)  # of what is in a batch
        decoding = InputLayer(self.spec, self.fit.marked) if derivation else self.input  # of the network's bands
        self.mixing = Mixing(self.settings.mixup, self.settings.cutmix, self.ignore_index)
        # What mixes patches has to tell no data from values that equal their fill.
        self.entry = InputLayer(self.spec, marked=True) if self.settings.mixup else decoding
        in_reader = pipeline_tree(self.settings.augmentations) is not None
        self.derive = DeriveLayer(derivation) if derivation and not (augment and in_reader) else None
        self.pipeline = self._pipeline() if augment and not in_reader else None
        # Convolutions on a CPU are a quarter faster with channels last, on CUDA devices more.
        self.model = _seeded_network(config, random_seed, pretrained).to(memory_format=torch.channels_last)
        self.loss = make_loss(self.settings, len(self.classes), self.ignore_index)
        self.schedule = Schedule(self.settings)
        averaged = self.settings.ema_decay or self.settings.swa_start_epoch
        self.average = AveragedWeights(self.model, self.settings.ema_decay or None) if averaged else None
        self.batches_done: int | None = None  # of this epoch, where it is saved in its middle
        self.compiled: Callable[[Tensor], Tensor] | None = None  # the network's call in training, where it is another
        self.resumed: dict[str, Any] | None = None  # what such a checkpoint knew of its epoch
        self.val_metrics: dict[str, float] | None = None  # of this epoch, None where it was not validated
        self.last_val_metrics: dict[str, float] = {}
        self.health: dict[str, float] = {}  # of this epoch, set by `health.EpochHealth` at its end

    def forward(self, x: Tensor) -> Tensor:
        """Logits [n, 1 or classes, h, w] of encoded patches [n, c, h, w]."""
        return self._logits(self.input(x))

    def _logits(self, x: Tensor) -> Tensor:
        network = self.compiled if self.compiled is not None and self.training else self.model
        logits: Tensor = network(self.fit.image(x).contiguous(memory_format=torch.channels_last))
        return self.fit.logits(logits, x.shape[-2], x.shape[-1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser; its learning rate is set anew at the start of every epoch, or step."""
        return make_optimiser(self.model, self.settings)

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Callable[[], Any] | None = None
    ) -> None:
        """One step, then its weights go into the average: of every step, or of the last one of late epochs."""
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        ranks.share_statistics(self.model)
        late = epoch >= self.settings.swa_start_epoch and self.trainer.is_last_batch
        if self.average is not None and (self.settings.ema_decay or late):
            self.average.update()

    def on_train_start(self) -> None:
        """Where an epoch is taken up in its middle, Lightning does not announce it: begin it, with its sums so far."""
        if self.average is not None:
            self.average.begin()
        if self.resumed is not None:
            self.on_train_epoch_start()
            self._loss_sum += self.resumed["loss_sum"]
            self._steps, self.resumed = self.resumed["steps"], None

    def on_train_epoch_start(self) -> None:
        """Set the epoch's learning rate, freeze or release the encoder, and begin the epoch's sums."""
        self._set_rate(0)
        if self.settings.unfreeze_at_epoch:
            set_frozen(self.model, self.current_epoch < self.settings.unfreeze_at_epoch)
        self.val_metrics = None
        self._epoch_started = time.monotonic()
        self._loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self._steps = 0

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed what the network itself draws (dropout, stochastic depth) from the step, and set the step's rate."""
        torch.manual_seed(mixed_seed(self.seed, DROPOUT, self._draw(batch_idx)))
        if not self.schedule.per_epoch:
            self._set_rate(batch_idx)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Loss of one augmented batch. Where patches are mixed, metrics are those of the labels of the larger share."""
        mixed = self.step_input(batch["x"], batch["y"], step_seed(self.seed, self._draw(batch_idx)))
        logits = self._logits(mixed.x)
        loss = mixed.loss(self.loss, logits)
        self._loss_sum += loss.detach()
        self._steps += 1
        logged = self._is_logged_step(batch_idx)
        self._check_finite(logged)
        if logged:
            rate = {} if self.schedule.per_epoch else {STEP_RATE: self._rate.lr}
            self._record(rate | self._step_metrics(logits, mixed.y, loss), self.global_step)
        return loss

    def on_validation_start(self) -> None:
        """Validate the averaged weights, where there are any."""
        if self.average is not None:
            self.average.swap()

    def on_validation_end(self) -> None:
        """Back to the weights in training."""
        if self.average is not None:
            self.average.swap()

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
        loss = float(ranks.mean(self._loss_sum)) / self._steps
        row = {"learning_rate": self._rate.lr, "train/loss_epoch": loss, **self.health, **(self.val_metrics or {})}
        self._record(row, self.global_step - 1)
        if self.val_metrics is not None:
            if self.schedule.plateau is not None:
                self.schedule.plateau.judge(self.val_metrics[MONITOR])
            of = self.trainer.max_epochs
            score, seconds = self.val_metrics[MONITOR], time.monotonic() - self._epoch_started
            pace = f", {self.health[SAMPLES_PER_SECOND]:.3g} patches/s" if self.health else ""
            line = "epoch %d/%d: train loss %.4g, val loss %.4g, val IoU %.4f (%.1f s%s)"
            _log.info(line, self.current_epoch + 1, of, loss, self.val_metrics["val/loss"], score, seconds, pace)

    @property
    def counted(self) -> SegmentationMetrics:
        """The counts of this epoch's validation."""
        return self._counted

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what cannot be computed anew; the weights become the averaged ones, where there are any."""
        if self.average is not None:
            self.average.save(checkpoint, PREFIX)
        if self.schedule.plateau is not None:
            checkpoint[PLATEAU] = self.schedule.plateau.state_dict()
        if self.batches_done is not None:
            loss_sum = float(ranks.mean(self._loss_sum))
            checkpoint[MID_EPOCH] = left(self.trainer, self.batches_done, loss_sum, self._steps)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up what `on_save_checkpoint` added. Outside training the weights are the averaged ones."""
        if self._trainer is None:
            return
        if self.average is not None:
            self.average.load(checkpoint, PREFIX)
        restore_trained(checkpoint)
        if self.schedule.plateau is not None and PLATEAU in checkpoint:
            self.schedule.plateau.load_state_dict(checkpoint[PLATEAU])
        self.resumed = taken_up(self.trainer, checkpoint)

    def completes_step(self, batch_idx: int) -> bool:
        """Whether the optimiser steps after this batch, which it does after every batch unless gradients add up."""
        return (batch_idx + 1) % self.settings.accumulate_grad_batches == 0 or self.trainer.is_last_batch

    def _draw(self, batch_idx: int) -> int:
        """Number of a batch over the whole run and all ranks, for what is drawn in it: alone and without accumulation
        that of the step.
        """
        together = self.settings.accumulate_grad_batches
        return (self.global_step * together + batch_idx % together) * ranks.count() + ranks.rank()

    def _set_rate(self, batch_idx: int) -> None:
        together = self.settings.accumulate_grad_batches
        of_epoch = math.ceil(self.trainer.num_training_batches / together)
        step = self.current_epoch * of_epoch + batch_idx // together
        epochs = self.trainer.max_epochs or 1
        self._rate: Rate = self.schedule.at(Position(self.current_epoch, step, of_epoch, epochs * of_epoch))
        set_rate(self.optimizers().param_groups, self._rate)  # type: ignore[union-attr]

    def step_input(self, codes: Tensor, y: Tensor, seed: int) -> Mixed:
        """What a training step sees of codes [n, c, h, w] and y [n, h, w]: augmented and mixed, as settings say."""
        mixed = self.mixing(*self.augmented(codes, y, seed), seed)
        return finished(mixed, self.input.fill) if self.settings.mixup else mixed

    def augmented(self, codes: Tensor, y: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Patches float32 [n, c, h, w] of codes, augmented where they are to be, and labels [n, h, w], moved alike.

        No data is NaN where patches are resampled before the network sees them, and for MixUp. Where augmentation is
        the reader's (`augmentation/reader.py`), it has been done. Derived bands come first, as if they were stored.
        """
        codes = codes if self.derive is None else self.derive(codes)
        return (self.entry(codes), y) if self.pipeline is None else self.pipeline(codes, y, self.entry, seed)

    def _pipeline(self) -> Pipeline:
        zeros = None if self.spec.clipped else torch.from_numpy(self.spec.zeros())[:, None, None]
        chosen = self.settings.augmentations or USUAL
        return Pipeline(chosen, self.spec.bands, self.entry.fill, self.ignore_index, zeros)

    def _step_metrics(self, logits: Tensor, y: Tensor, loss: Tensor) -> dict[str, float]:
        state = SegmentationMetrics(self.classes, self.ignore_index, self.device, curves=False)
        state.update(logits.detach(), y, torch.zeros((), device=self.device))
        ranks.add_up(state.counts())
        found = state.compute() | {"loss": float(ranks.mean(loss.detach()))}
        return {f"train/{name}": found[name] for name in metric_names(self.classes, curves=False)}

    def _is_logged_step(self, batch_idx: int) -> bool:
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return (self.global_step + 1) % every == 0 and self.completes_step(batch_idx)

    def _record(self, metrics: dict[str, float], step: int) -> None:
        for tracker in self.loggers:
            tracker.log_metrics({"epoch": self.current_epoch, **metrics}, step)

    def _check_finite(self, logged: bool) -> None:
        """Raise TrainingError for a loss that is not finite: at once on the CPU, else before anything is kept.

        Looking at a number on a CUDA device waits for it, so there it is done at logged steps and the epoch's last.
        """
        look = self.device.type == "cpu" or logged or self.trainer.is_last_batch
        if look and not torch.isfinite(ranks.mean(self._loss_sum)):  # all ranks stop together
            raise TrainingError(self._diverged("training"))

    def _diverged(self, what: str) -> str:
        return (
            f"the {what} loss is not finite in epoch {self.current_epoch + 1}, step {self.global_step + 1}; "
            f"try a --learning-rate below {self.settings.learning_rate:g}."
        )


def _from_plain(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of Hyperparameters from a checkpoint's plain values: lists become tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in recipe.items()}


def _seeded_network(config: dict[str, Any], seed: int, pretrained: bool) -> torch.nn.Module:
    """The network with initial weights that depend on the seed alone; the caller's generator is left as it was."""
    model = NetworkArguments.model_validate(config["model"])
    weights = config["model"].get("encoder_weights") if pretrained else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(mixed_seed(seed, INIT, 0))
        return create_network(
            model.arch, model.encoder_name, weights, model.in_channels, len(config["classes"]), model.options()
        )
