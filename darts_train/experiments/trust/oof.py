"""Out-of-fold predictions, made as the runs of a cross-validation end, and what is learned from them.

Each run predicts the patches that it validated on; when all runs are done the seeds are averaged, patch by patch, and
the same pass counts for the best thresholds and for the audit of labels. At no time more than a batch, or the seeds of
one patch, is in memory.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from darts_train.artifacts import tree
from darts_train.artifacts.out_of_fold import OOF_DIRECTORY, OutOfFold
from darts_train.artifacts.patch_errors import AUDIT_FILE
from darts_train.artifacts.run_infos import RunRow
from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.splits import make_split
from darts_train.experiments.evaluate_run import open_for_model
from darts_train.experiments.settings import Settings
from darts_train.experiments.trust.label_audit import (
    MUCH,
    SHEET_FILE,
    audit_patch,
    audit_table,
    write_audit,
)
from darts_train.metrics.curves import best_thresholds
from darts_train.metrics.histogram import BINS, binary_histogram
from darts_train.models.model_file import load_model_file
from darts_train.models.torch_device import torch_device
from darts_train.options.learning import Device, Split
from darts_train.training.hardware.devices import arithmetic
from darts_train.training.loading.data_module import TrainDataModule

_log = logger("experiments")


@dataclass(frozen=True)
class OofResult:
    """Out-of-fold predictions that are all there.

    Attributes:
        directory: of the cross-validation.
        patches: how many were predicted.
        thresholds: of each foreground class, as `metrics.curves.best_thresholds` gives them, pooled over all patches.
        disputed: patches with more than a tenth of their labelled pixels contradicted by every network.
    """

    directory: Path
    patches: int
    thresholds: dict[str, dict[str, dict[str, float]]]
    disputed: int

    def summary(self) -> str:
        """A few lines."""
        lines = [f"out-of-fold predictions of {self.patches} patches: {self.directory / OOF_DIRECTORY}"]
        for name, found in self.thresholds.items():
            best, half = found["best_iou"], found["default"]
            lines.append(
                f"best threshold of {name}: {best['threshold']:.3f} (IoU {best['JaccardIndex']:.4f}; at 0.5 "
                f"{half['JaccardIndex']:.4f})"
            )
        lines.append(f"over {MUCH:.0%} of the labels disputed in {self.disputed} patches: {AUDIT_FILE}, {SHEET_FILE}")
        return "\n".join(lines)


def require_folds(split: Split) -> None:
    """Raise UserError where no patch is out of any fold."""
    if split.fold_method is None:
        raise UserError("--oof: without --fold-method every network was trained on every patch; give one.")


@dataclass(frozen=True, eq=False)
class OofMaker:
    """Makes the predictions of one cross-validation in `directory`."""

    directory: Path
    settings: Settings
    device: Device
    data: TrainData
    out: OutOfFold

    @classmethod
    def open(cls, directory: Path, settings: Settings, device: Device) -> "OofMaker":
        """Begin, or go on. Raises UserError where there are no folds."""
        require_folds(settings.split)
        data = TrainData.open(settings.data.train_data_dir, settings.data.bands)
        size, classes = data.config.patch_size, len(data.config.classes)
        out = OutOfFold.create(directory, (len(data), classes - 1, size, size))
        _log.info("out-of-fold predictions: at most %.1f GB per seed, and once more", math.prod(out.shape) * 2 / 1e9)
        return cls(directory, settings, device, data, out)

    def add(self, row: RunRow) -> None:
        """Predict what a finished run validated on, unless that is done."""
        run = tree.run_directory(self.directory, row.run_name, row.run_id)
        if row.status == "finished" and row.checkpoint and self.out.content is None and not self.out.is_done(run):
            count = self.out.write_run(run, row.fold, row.seed, self._batches(Path(row.checkpoint), row.fold))
            _log.info("%s: out-of-fold predictions of %d patches", row.run_name, count)

    def finish(self, rows: Sequence[RunRow]) -> OofResult | None:
        """Average the seeds, find thresholds, audit labels; None where a run is missing."""
        if self.out.content is None:
            for row in rows:
                self.add(row)
            if any(row.status != "finished" for row in rows):
                _log.warning("out-of-fold predictions wait for the runs that failed; call it again")
                return None
            self._finish(sorted({row.seed for row in rows}))
        self.out.tidy()
        content: dict[str, Any] = self.out.content or {}
        return OofResult(self.directory, content["patches"], content["thresholds"], content["disputed"])

    def _finish(self, seeds: Sequence[int]) -> None:
        classes, ignored = self.data.config.classes, self.data.config.ignore_index
        histograms = torch.zeros((len(classes) - 1, 2, BINS), dtype=torch.int64)
        found: dict[int, dict[str, float]] = {}
        rows = self.out.rows
        for row in track(rows.tolist(), "averaging", len(rows)):
            each = self.out.seeds_of(row, seeds)
            _, y = self.data.read(row)
            mean = each.mean(axis=0)
            self.out.write_mean(row, mean)
            for k in range(len(mean)):
                target = np.where(y == ignored, ignored, y == k + 1)
                histograms[k] += binary_histogram(torch.from_numpy(mean[k]), torch.from_numpy(target), ignored)
            found[row] = audit_patch(each, y, ignored)
        table = audit_table(found, self.data.metadata, self.out.folds)
        write_audit(table, self.out, self.data)
        thresholds = {name: best_thresholds(histograms[k]) for k, name in enumerate(classes[1:])}
        disputed = int((table["disputed_pixels"] > MUCH * table["labelled"]).sum())
        numbers = {"patches": len(rows), "seeds": list(seeds), "thresholds": thresholds, "disputed": disputed}
        self.out.finish(numbers | {"data_hash": self.data.data_hash})

    def _batches(self, checkpoint: Path, fold: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows and probabilities of the foreground classes of what `fold` validates, as the best checkpoint sees it."""
        model = load_model_file(checkpoint)
        opened, layer = open_for_model(self.settings.data, model)
        indices = make_split(opened.metadata, self.settings.split, fold, opened.config.patch_size)
        h, training = self.settings.hyperparameters, self.settings.training
        module = TrainDataModule(opened, indices, batch_size=h.batch_size, num_workers=training.num_workers)
        where = torch_device(self.device.device)
        network, layer = model.whole.to(where).eval(), layer.to(where)
        loader = module.val_dataloader()
        with arithmetic(where), torch.inference_mode():
            for batch in track(loader, "predicting", len(loader)):
                logits = network(layer(batch["x"].to(where))).float()
                probability = logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)[:, 1:]
                yield batch["index"].numpy(), probability.cpu().numpy()
