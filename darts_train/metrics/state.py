"""The running state of one pass over data: batches go in, named metrics come out.

Logits in, one sigmoid or argmax here. The state is integers on the device (a histogram for two classes, a confusion
matrix for more) and one float64 sum of losses, so passes are repeatable to the last digit for a given order of batches.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from darts_train.metrics.confusion import confusion_matrix, count_metrics
from darts_train.metrics.curves import auroc, average_precision
from darts_train.metrics.histogram import BINS, binary_histogram, confusion_at
from darts_train.metrics.names import CLASS_METRICS, COUNT_METRICS, CURVE_METRICS, class_metric


class SegmentationMetrics:
    """Metrics of a segmentation with `classes` (index 0 background) over any number of batches."""

    def __init__(self, classes: Sequence[str], ignore_index: int, device: torch.device | str = "cpu") -> None:
        self.classes = tuple(classes)
        self.ignore_index = ignore_index
        self.binary = len(self.classes) == 2
        self.device = torch.device(device)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        shape = (2, BINS) if self.binary else (len(self.classes),) * 2
        self.counts = torch.zeros(shape, dtype=torch.int64, device=self.device)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.loss_pixels = torch.zeros((), dtype=torch.int64, device=self.device)

    def update(self, logits: Tensor, target: Tensor, loss_sum: Tensor) -> None:
        """Add a batch: logits float [n, 1 or k, h, w], target integer [n, h, w], sum of the losses of valid pixels."""
        if self.binary:
            self.counts += binary_histogram(logits[:, 0].float().sigmoid(), target, self.ignore_index)
        else:
            predicted = logits.argmax(1)
            self.counts += confusion_matrix(predicted, target, len(self.classes), self.ignore_index).sum(0)
        self.loss_sum += loss_sum.detach().to(torch.float64)
        self.loss_pixels += (target != self.ignore_index).sum()

    def confusion(self) -> Tensor:
        """int64 [k, k] confusion matrix so far, at a threshold of 0.5 for two classes."""
        return confusion_at(self.counts) if self.binary else self.counts

    def compute(self, prefix: str = "") -> dict[str, float]:
        """All metrics so far, names beginning with `prefix` (such as `val/`).

        `loss` is the mean over valid pixels, 0 where there is none.
        """
        metrics = count_metrics(self.confusion(), self.classes)
        if self.binary:
            metrics |= {"AUROC": auroc(self.counts), "AveragePrecision": average_precision(self.counts)}
        metrics["loss"] = float(self.loss_sum) / max(int(self.loss_pixels), 1)
        return {prefix + name: value for name, value in sorted(metrics.items())}


def metric_names(classes: Sequence[str], curves: bool = True) -> tuple[str, ...]:
    """Names, without stage, of what `SegmentationMetrics.compute` gives; `curves` adds AUROC and AveragePrecision."""
    if len(classes) == 2:
        return ("loss", *COUNT_METRICS, *(CURVE_METRICS if curves else ()))
    single = [class_metric(metric, name) for metric in CLASS_METRICS for name in classes[1:]]
    return ("loss", *COUNT_METRICS, *single)
