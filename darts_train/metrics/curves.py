"""Curves over all thresholds, and the figures drawn from them; computed from the histogram, in float64.

Definitions as in scikit-learn (`roc_curve`, `precision_recall_curve`, `average_precision_score`), with the
probabilities rounded to bins. Where a class is missing no curve says anything: the areas are 0 then, as torchmetrics
has them, and scoring calls such a run unstable.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # arrays will do: who has no network needs no torch
    import torch

Array = NDArray[np.float64]
Histogram = Union["torch.Tensor", NDArray[np.int64]]  # int64 [2, bins]: background, positives


@dataclass(frozen=True)
class Curves:
    """Rates at the thresholds k/bins: all arrays are float64 [bins + 1], thresholds rising."""

    thresholds: Array
    recall: Array  # true positive rate
    fall_out: Array  # false positive rate
    precision: Array  # 1 where nothing is predicted, so that the curve starts at the top
    f1: Array
    iou: Array


def curves(histogram: Histogram) -> Curves:
    """All curves of an int64 [2, bins] histogram; an absent class gives rates of 0."""
    counted = _array(histogram)
    above = np.pad(counted[:, ::-1].cumsum(1)[:, ::-1], ((0, 0), (0, 1))).astype(np.float64)
    fp, tp = above  # entry k: of what is above k/bins
    negatives, positives = (float(n) for n in counted.sum(1))
    predicted = tp + fp
    return Curves(
        thresholds=np.arange(len(tp)) / (len(tp) - 1),
        recall=_ratio(tp, np.full_like(tp, positives)),
        fall_out=_ratio(fp, np.full_like(fp, negatives)),
        precision=np.where(predicted > 0, _ratio(tp, predicted), 1.0),
        f1=_ratio(2 * tp, predicted + positives),
        iou=_ratio(tp, fp + positives),
    )


def auroc(histogram: Histogram) -> float:
    """Area under the ROC curve by trapezoids; 0 where positives or negatives are missing."""
    if not bool((_array(histogram).sum(1) > 0).all()):
        return 0.0
    curve = curves(histogram)
    return float(np.trapezoid(curve.recall[::-1], curve.fall_out[::-1]))


def average_precision(histogram: Histogram) -> float:
    """Mean of the precisions weighted by the gain in recall, Σ (Rₖ - Rₖ₊₁)·Pₖ; 0 without positives."""
    curve = curves(histogram)
    return float(np.sum((curve.recall[:-1] - curve.recall[1:]) * curve.precision[:-1]))


def best_thresholds(histogram: Histogram) -> dict[str, dict[str, float]]:
    """Thresholds with the highest F1 and IoU, and both scores there and at 0.5.

    Of equal scores the threshold nearest to 0.5 is taken. F1 and IoU rise and fall together, so the two differ only by
    rounding; both are given because readers look for either.
    """
    curve = curves(histogram)
    middle = len(curve.thresholds) // 2
    return {
        "default": _at(curve, middle),
        "best_f1": _at(curve, _argmax_near(curve.f1, middle)),
        "best_iou": _at(curve, _argmax_near(curve.iou, middle)),
    }


def _array(histogram: Histogram) -> NDArray[np.int64]:
    return histogram if isinstance(histogram, np.ndarray) else histogram.cpu().numpy()


def _at(curve: Curves, k: int) -> dict[str, float]:
    return {
        "threshold": float(curve.thresholds[k]),
        "F1Score": float(curve.f1[k]),
        "JaccardIndex": float(curve.iou[k]),
        "Precision": float(curve.precision[k]),
        "Recall": float(curve.recall[k]),
    }


def _argmax_near(values: Array, middle: int) -> int:
    best = np.flatnonzero(values == values.max())
    return int(best[np.argmin(np.abs(best - middle))])


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Elementwise quotient, 0 where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
