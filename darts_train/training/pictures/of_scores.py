"""The pictures of a pass's counts: confusion, ROC, precision over recall. The same in validation and test."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from darts_train.figures.scores import confusion_panel, curve_panel
from darts_train.metrics.curves import Curves, auroc, average_precision, best_thresholds, curves
from darts_train.metrics.state import SegmentationMetrics

Draw = Callable[[], bytes]


def score_pictures(state: SegmentationMetrics) -> dict[str, Draw]:
    """Name → what draws it. The counts are copied here, so that the state may go on."""
    matrix, histograms = state.confusion().cpu().numpy().copy(), state.histograms.cpu().clone()
    draws: dict[str, Draw] = {"confusion": partial(confusion_panel, matrix, state.classes)}
    found = [(name, one) for name, one in zip(state.classes[1:], histograms, strict=True) if _has_both(one)]
    if state.curves and found:
        draws["roc"] = partial(_roc, found)
        draws["precision_recall"] = partial(_precision_recall, found)
    return draws


def _has_both(histogram: torch.Tensor) -> bool:
    return bool((histogram.sum(1) > 0).all())


def _roc(found: Sequence[tuple[str, torch.Tensor]]) -> bytes:
    lines, of = {}, [curves(one) for _, one in found]
    for (name, one), curve in zip(found, of, strict=True):
        lines[f"{name} (area {auroc(one):.3f})"] = curve.fall_out, curve.recall
    marks = {label: (of[0].fall_out[k], of[0].recall[k]) for label, k in _marks(found, of).items()}
    return curve_panel(lines, ("false positive rate", "true positive rate"), "ROC", marks, ((0, 1), (0, 1)))


def _precision_recall(found: Sequence[tuple[str, torch.Tensor]]) -> bytes:
    lines, of = {}, [curves(one) for _, one in found]
    for (name, one), curve in zip(found, of, strict=True):
        lines[f"{name} (average {average_precision(one):.3f})"] = curve.recall, curve.precision
    marks = {label: (of[0].recall[k], of[0].precision[k]) for label, k in _marks(found, of).items()}
    negatives, positives = (float(n) for n in found[0][1].sum(1))
    share = positives / (negatives + positives)
    chance = ((0, 1), (share, share)) if len(found) == 1 else None
    return curve_panel(lines, ("recall", "precision"), "precision over recall", marks, chance)


def _marks(found: Sequence[tuple[str, torch.Tensor]], of: Sequence[Curves]) -> dict[str, int]:
    """Thresholds worth a point, of a single curve: several classes are decided by the greatest, not by thresholds."""
    if len(found) > 1:
        return {}
    best = best_thresholds(found[0][1])
    places = {"threshold 0.5": 0.5, f"best F1, at {best['best_f1']['threshold']:.3f}": best["best_f1"]["threshold"]}
    return {label: int(np.rint(place * (len(of[0].thresholds) - 1))) for label, place in places.items()}
