"""Pictures of a run while it lasts: its split and augmentation at the start, patches and curves every few validations.

    figures/data/            split.png, augmentation.png
    figures/val{fold}-samples/   sample_{step}_{row}.png; confusion, roc, precision_recall _{step}.png
    figures/epochs.png       losses, scores and learning rate so far

The network's part (a few patches, once) is done where the training is; drawing is the painter's.
"""

from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from darts_train.dataset.places import patch_centres
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.splits import SplitIndices
from darts_train.figures.augmentation_panel import augmentation_panel
from darts_train.figures.progress import Line, epochs_panel
from darts_train.figures.split_panel import Part, split_panel
from darts_train.models.fit import fitted
from darts_train.training.augmentation.reader import AugmentedPatches, ReaderPipeline
from darts_train.training.loading.data_module import TrainDataModule
from darts_train.training.loading.patches import PatchDataset
from darts_train.training.module import SegmentationModule
from darts_train.training.pictures.of_samples import chosen_patches, predicted_samples
from darts_train.training.pictures.of_scores import Draw, score_pictures
from darts_train.training.pictures.painter import Painter
from darts_train.training.tracking.metrics_file import read_rows
from darts_train.training.tracking.trackers import METRICS_FILE

ROWS, DRAWS = 4, 6  # of the sheet of augmentations
_SCORES = {"IoU": "val/JaccardIndex", "F1": "val/F1Score", "precision": "val/Precision", "recall": "val/Recall"}


class RunFigures(Callback):
    """Writes pictures below `directory`/figures every `every` validations. Never ends a run.

    The epochs are those divisible by `every` validations, and nothing is counted, so a resumed run plots the same.
    `every` 0: no pictures at all.
    """

    def __init__(
        self, directory: Path, painter: Painter, fold: int, indices: SplitIndices, every: int, check_val_every: int
    ) -> None:
        self.directory = directory
        self.painter = painter
        self.samples = f"val{fold}-samples"
        self.indices = indices
        self.epochs = every * check_val_every
        self._drawn = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The split, and what augmentation does."""
        if not self.epochs:
            return
        with _Guarded(self.painter):
            data, module = _parts(trainer, pl_module)
            draw = partial(split_panel, split_parts(data, self.indices), f"{data.root.name}: {self.indices.summary()}")
            self._paint("data", "split", draw)
            if module.augment or module.mixing:
                reader = trainer.datamodule.reader  # type: ignore[attr-defined]
                self._paint("data", "augmentation", _augmentation(data, module, self.indices, reader))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Patches and curves, where it is time."""
        epoch = trainer.current_epoch + 1
        if not self.epochs or self.painter.broken or (epoch % self.epochs and epoch != trainer.max_epochs):
            return
        with _Guarded(self.painter):
            data, module = _parts(trainer, pl_module)
            rows, step = chosen_patches(data, self.indices.val), trainer.global_step
            network = fitted(module.model, module.fit)
            for sample in predicted_samples(network, module.input, data, rows, module.device):
                self._paint(self.samples, f"sample_{step}_{sample.row}", sample.draw, f"sample_{sample.row}")
            for name, draw in score_pictures(module.counted).items():
                self._paint(self.samples, f"{name}_{step}", draw, name)
            self._drawn = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The epochs so far, once the row of the last is written."""
        if self._drawn:
            self._epochs()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """All epochs; and the last picture is finished, as trackers are closed next."""
        if self.epochs:
            self._epochs()
        self.painter.close()

    def _epochs(self) -> None:
        self._drawn = False
        path = self.directory / METRICS_FILE
        draw = partial(_epochs_picture, path, self.directory.name)
        self.painter.paint(self.directory / "figures" / "epochs.png", draw, "epochs")

    def _paint(self, folder: str, name: str, draw: Draw, key: str | None = None) -> None:
        self.painter.paint(self.directory / "figures" / folder / f"{name}.png", draw, f"{folder}/{key or name}")


class _Guarded:
    """Whatever goes wrong within is the painter's to say."""

    def __init__(self, painter: Painter) -> None:
        self.painter = painter

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Exception):
            self.painter.failed(error)
            return True
        return False


def split_parts(data: TrainData, indices: SplitIndices) -> dict[str, Part]:
    """The parts of a split for its picture; one whose patches are all in an earlier part is left out."""
    centres, seen, parts = patch_centres(data.metadata), np.zeros(len(data), bool), {}
    regions, empty = data.metadata["region"].astype(str).to_numpy(), data.metadata["empty"].to_numpy(bool)
    for name in ("train", "val", "test"):
        rows = getattr(indices, name)
        if len(rows) and not seen[rows].all():
            parts[name] = Part(regions[rows].tolist(), empty[rows], centres[rows])
        seen[rows] = True
    return parts


def _parts(trainer: pl.Trainer, module: pl.LightningModule) -> tuple[TrainData, SegmentationModule]:
    loaders = trainer.datamodule  # type: ignore[attr-defined]
    assert isinstance(module, SegmentationModule)
    assert isinstance(loaders, TrainDataModule)
    return loaders.data, module


def _augmentation(
    data: TrainData, module: SegmentationModule, indices: SplitIndices, reader: ReaderPipeline | None
) -> "partial[bytes]":
    """Draws with generators of their own: training's are untouched."""
    rows = chosen_patches(data, indices.train)[:ROWS]
    part = PatchDataset(data, rows)
    batch = part.__getitems__(range(len(rows)))
    pictures = []
    with torch.no_grad():
        for draw in range(DRAWS):
            drawn = batch if reader is None or not draw else AugmentedPatches(part, reader).drawn(batch, draw)
            codes, y = drawn["x"].to(module.device), drawn["y"].to(module.device)
            if not draw:
                pictures.append((module.input(codes), y))
                continue
            mixed = module.step_input(codes, y, draw)
            pictures.append((mixed.x, mixed.y))
    pictures = [(module.input.shown(x), labels) for x, labels in pictures if labels.shape == pictures[-1][1].shape]
    x, labels = (torch.stack(part, dim=1).cpu().numpy() for part in zip(*pictures, strict=True))
    title = "augmentation: each row a training patch with its labels, and draws of it"
    return partial(augmentation_panel, x, labels, module.spec.names, data.config.ignore_index, title)


def _epochs_picture(path: Path, title: str) -> bytes:
    rows = [row for row in read_rows(path) if row.get("learning_rate")]

    def line(column: str) -> Line:
        known = [(float(row["epoch"]) + 1, float(row[column])) for row in rows if row.get(column)]
        return [epoch for epoch, _ in known], [value for _, value in known]

    losses = {"training": line("train/loss_epoch"), "validation": line("val/loss")}
    return epochs_panel(losses, {name: line(column) for name, column in _SCORES.items()}, line("learning_rate"), title)
