"""The running state of one pass over data: batches go in, named metrics come out.

Logits in, one sigmoid or softmax here. The state is integers on the device (a histogram of probabilities for each
foreground class and, for more than two classes, a confusion matrix) and one float64 sum of losses, so passes are
repeatable to the last digit for a given order of batches.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from darts_train.metrics.confusion import confusion_matrix, count_metrics, mean_of_finite
from darts_train.metrics.curves import auroc, average_precision
from darts_train.metrics.histogram import BINS, binary_histogram, class_histograms, confusion_at
from darts_train.metrics.names import CLASS_METRICS, COUNT_METRICS, CURVE_METRICS, class_metric


class SegmentationMetrics:
    """Metrics of a segmentation with `classes` (index 0 background) over any number of batches.

    `curves=False` saves the histograms of several classes, and leaves out what they give; two classes need theirs.
    """

    def __init__(
        self, classes: Sequence[str], ignore_index: int, device: torch.device | str = "cpu", curves: bool = True
    ) -> None:
        self.classes = tuple(classes)
        self.ignore_index = ignore_index
        self.binary = len(self.classes) == 2
        self.curves = curves
        self.device = torch.device(device)
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        k = len(self.classes)
        self.histograms = torch.zeros((k - 1, 2, BINS), dtype=torch.int64, device=self.device)
        self._confusion = torch.zeros((k, k), dtype=torch.int64, device=self.device)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        self.loss_pixels = torch.zeros((), dtype=torch.int64, device=self.device)

    def update(self, logits: Tensor, target: Tensor, loss_sum: Tensor) -> None:
        """Add a batch: logits float [n, 1 or k, h, w], target integer [n, h, w], sum of the losses of valid pixels."""
        if self.binary:
            self.histograms[0] += binary_histogram(logits[:, 0].float().sigmoid(), target, self.ignore_index)
        else:
            predicted = logits.argmax(1)
            self._confusion += confusion_matrix(predicted, target, len(self.classes), self.ignore_index).sum(0)
            if self.curves:
                self.histograms += class_histograms(logits.float().softmax(1), target, self.ignore_index)
        self.loss_sum += loss_sum.detach().to(torch.float64)
        self.loss_pixels += (target != self.ignore_index).sum()

    def counts(self) -> list[Tensor]:
        """The tensors of the state; states of parts of the data become that of all when these are added up."""
        return [self.histograms, self._confusion, self.loss_sum, self.loss_pixels]

    def confusion(self) -> Tensor:
        """int64 [k, k] confusion matrix so far, at a threshold of 0.5 for two classes."""
        return confusion_at(self.histograms[0]) if self.binary else self._confusion

    def compute(self, prefix: str = "") -> dict[str, float]:
        """All metrics so far, names beginning with `prefix` (such as `val/`).

        `loss` is the mean over valid pixels, 0 where there is none. With several classes AUROC and AveragePrecision are
        those of each class against all else (NaN where there is no pixel of the one or the other), and their mean.
        """
        metrics = count_metrics(self.confusion(), self.classes)
        if self.curves:
            metrics |= self._areas()
        metrics["loss"] = float(self.loss_sum) / max(int(self.loss_pixels), 1)
        return {prefix + name: value for name, value in sorted(metrics.items())}

    def _areas(self) -> dict[str, float]:
        histograms = self.histograms.cpu()
        if self.binary:
            return {"AUROC": auroc(histograms[0]), "AveragePrecision": average_precision(histograms[0])}
        found = {}
        for name, area in zip(CURVE_METRICS, (auroc, average_precision), strict=True):
            values = [area(one) if bool((one.sum(1) > 0).all()) else math.nan for one in histograms]
            found[name] = mean_of_finite(values)
            found |= {class_metric(name, c): value for c, value in zip(self.classes[1:], values, strict=True)}
        return found


def metric_names(classes: Sequence[str], curves: bool = True) -> tuple[str, ...]:
    """Names, without stage, of what `SegmentationMetrics.compute` gives; `curves` adds AUROC and AveragePrecision."""
    areas = CURVE_METRICS if curves else ()
    of_class = (*CLASS_METRICS, *areas) if len(classes) > 2 else ()
    single = [class_metric(metric, name) for metric in of_class for name in classes[1:]]
    return ("loss", *COUNT_METRICS, *areas, *single)
