"""Pictures of a few validation patches while a run lasts: the same ones every time, so that progress shows."""

from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import nn

from darts_train.base.files import write_bytes
from darts_train.base.log import logger
from darts_train.dataset.reader import TrainData
from darts_train.figures.panels import sample_panel
from darts_train.models.input_spec import InputLayer
from darts_train.training.module import SegmentationModule
from darts_train.training.patches import Indices, PatchDataset
from darts_train.training.trackers import WandbTracker

POSITIVES, EMPTIES = 6, 2
_log = logger("training")


def chosen_patches(data: TrainData, rows: Indices) -> Indices:
    """The first six of `rows` with positives and the first two without, in the order of the set."""
    empty = data.metadata["empty"].to_numpy(dtype=bool)[rows]
    return np.sort(np.concatenate([rows[~empty][:POSITIVES], rows[empty][:EMPTIES]]))


def predicted_panels(
    network: nn.Module, layer: InputLayer, data: TrainData, rows: Indices, device: torch.device
) -> list[bytes]:
    """A panel (PNG) of each row: the patch, its labels, the agreement, the prediction. `network` is in eval mode."""
    panels = []
    dataset = PatchDataset(data, rows)
    for position, row in enumerate(rows):
        batch = dataset[position]
        with torch.inference_mode():
            x = layer(batch["x"].to(device))
            logits = network(x).float()[0].cpu()
        prediction = logits[0].sigmoid() if len(logits) == 1 else logits.argmax(0)
        info = data.metadata.iloc[int(row)]
        title = f"patch {row}: {info['sample_id']}, {info['region']}"
        picture, labels = x[0].cpu().numpy(), batch["y"][0].numpy()
        panels.append(
            sample_panel(picture, layer.spec.names, labels, prediction.numpy(), data.config.ignore_index, title)
        )
    return panels


class SampleFigures(Callback):
    """Writes panels of the chosen patches into `directory` every `every` validations. Never ends a run.

    The epochs are those divisible by `every` validations, and nothing is counted, so a resumed run plots the same.
    """

    def __init__(self, directory: Path, rows: Indices, every: int, check_val_every_n_epoch: int) -> None:
        self.directory = directory
        self.rows = rows
        self.epochs = every * check_val_every_n_epoch
        self._broken = False

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Draw, where it is time."""
        epoch = trainer.current_epoch + 1
        if self._broken or not self.epochs or (epoch % self.epochs and epoch != trainer.max_epochs):
            return
        try:
            self._draw(trainer, pl_module)
        except Exception as error:  # a picture is no reason to lose a run
            self._broken = True
            _log.warning("figures of samples failed and are left out from here on: %s", error)

    def _draw(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, SegmentationModule)
        data: TrainData = trainer.datamodule.data  # type: ignore[attr-defined]
        panels = predicted_panels(module.model, module.input, data, self.rows, module.device)
        for row, png in zip(self.rows, panels, strict=True):
            path = self.directory / f"sample_{trainer.global_step}_{row}.png"
            write_bytes(path, png)
            for tracker in trainer.loggers:
                if isinstance(tracker, WandbTracker):
                    tracker.log_image(f"{self.directory.name}/sample_{row}", path)
