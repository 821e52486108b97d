"""Confusion matrices, and every metric that only needs one.

A matrix is int64 [k, k], rows true classes, columns predicted ones, class 0 the background.

What has no support: a quotient whose denominator is 0 is 0, as in torchmetrics. An all-background part therefore
has an IoU of 0 (not 1, not NaN), which scoring takes as a sign that nothing was measured. With more than two classes
a single class that neither occurs nor is predicted is NaN, and the mean leaves it out; no class left: 0.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from darts_train.metrics.names import CLASS_METRICS, class_metric


def confusion_matrix(predicted: Tensor, target: Tensor, classes: int, ignore_index: int) -> Tensor:
    """Count pixels by true and predicted class, separately for each item of a batch.

    Args:
        predicted: Integer [n, …], values 0 … classes - 1.
        target: Integer of the same shape; `ignore_index` is left out, as is any other value that is no class.
        classes: Number of classes, background included.
        ignore_index: Value of `target` that is not counted.

    Returns:
        int64 [n, classes, classes]; sum over the first axis for the whole batch.
    """
    n = target.shape[0]
    target = target.reshape(n, -1).to(torch.int64)
    cell = target * classes + predicted.reshape(n, -1).to(torch.int64)
    size = classes * classes
    outside = (target == ignore_index) | (target >= classes)
    cell = torch.where(outside, size, cell) + (size + 1) * torch.arange(n, device=target.device)[:, None]
    counted = torch.bincount(cell.reshape(-1), minlength=n * (size + 1)).reshape(n, size + 1)
    return counted[:, :size].reshape(n, classes, classes)


def count_metrics(matrix: Tensor, classes: Sequence[str]) -> dict[str, float]:
    """All metrics of a [k, k] matrix, names without stage.

    Two classes: those of the positive class. More: means over the foreground classes (classes 1 …), plus one value per
    foreground class for Precision, Specificity, Recall, F1Score and JaccardIndex. Accuracy, CohenKappa and
    HammingDistance are over all pixels and classes in both cases.
    """
    m = matrix.cpu().to(torch.float64)
    total = float(m.sum())
    accuracy = _divide(float(m.trace()), total)
    overall = {"Accuracy": accuracy, "CohenKappa": cohen_kappa(m), "HammingDistance": 1.0 - accuracy}
    per_class = [one_class_metrics(m, k) for k in range(1, len(m))]
    if len(m) == 2:
        return overall | {name: 0.0 if math.isnan(v) else v for name, v in per_class[0].items()}
    means = {name: mean_of_finite([scores[name] for scores in per_class]) for name in CLASS_METRICS}
    single = {
        class_metric(name, classes[k + 1]): scores[name] for name in CLASS_METRICS for k, scores in enumerate(per_class)
    }
    return overall | means | single


def one_class_metrics(matrix: Tensor, k: int) -> dict[str, float]:
    """Precision, Specificity, Recall, F1Score and JaccardIndex of class `k` against all others.

    Specificity apart, all are NaN where the class neither occurs nor is predicted.
    """
    m = matrix.to(torch.float64)
    tp = float(m[k, k])
    fp, fn = float(m[:, k].sum()) - tp, float(m[k].sum()) - tp
    tn = float(m.sum()) - tp - fp - fn
    specificity = _divide(tn, tn + fp)
    if tp + fp + fn == 0:
        return dict.fromkeys(CLASS_METRICS, math.nan) | {"Specificity": specificity}
    return {
        "Precision": _divide(tp, tp + fp),
        "Specificity": specificity,
        "Recall": _divide(tp, tp + fn),
        "F1Score": _divide(2 * tp, 2 * tp + fp + fn),
        "JaccardIndex": _divide(tp, tp + fp + fn),
    }


def cohen_kappa(matrix: Tensor) -> float:
    """Agreement beyond chance (Cohen 1960); 0 where chance alone agrees on everything, or nothing was counted."""
    m = matrix.to(torch.float64)
    total = float(m.sum())
    if total == 0:
        return 0.0
    expected = float((m.sum(0) * m.sum(1)).sum()) / total**2
    return _divide(float(m.trace()) / total - expected, 1.0 - expected)


def _divide(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator != 0 else 0.0


def mean_of_finite(values: Sequence[float]) -> float:
    """Mean of what is not NaN; 0 where all is, or nothing is there."""
    found = [value for value in values if not math.isnan(value)]
    return sum(found) / len(found) if found else 0.0
