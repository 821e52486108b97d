"""Scores of parts of a set: pixels and objects of the patches of a region, or of a scene, added up.

Pixels are pooled, so the IoU of a scene is that of one large image. What has no support (a class that neither occurs in
the part nor is predicted there) is NaN: such a part is neither good nor bad, and no candidate for the worst.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Row = dict[str, float | int | str]
MEAN = "mean"  # stands for all foreground classes where there are several


@dataclass(frozen=True)
class Groups:
    """Counts of parts, sorted by name.

    Attributes:
        names: [g].
        patches: int64 [g].
        confusion: int64 [g, k, k], rows true classes.
        objects: int64 [g, k - 1, 3], found, made up, missed.
    """

    names: tuple[str, ...]
    patches: Counts
    confusion: Counts
    objects: Counts


def add_up(names: Sequence[str], confusion: Counts, objects: Counts) -> Groups:
    """Group patches: `names[i]` is the part of patch i; confusion int64 [n, k, k], objects int64 [n, k - 1, 3]."""
    found, member = np.unique(np.asarray(names, dtype=np.str_), return_inverse=True)
    pooled = np.zeros((len(found), *confusion.shape[1:]), np.int64)
    summed = np.zeros((len(found), *objects.shape[1:]), np.int64)
    np.add.at(pooled, member, confusion)
    np.add.at(summed, member, objects)
    return Groups(tuple(map(str, found)), np.bincount(member, minlength=len(found)), pooled, summed)


def group_rows(groups: Groups, classes: Sequence[str]) -> list[Row]:
    """A row per part and foreground class, and where there are several classes one more of their mean.

    Columns: name, class, patches, pixels (valid ones), positive_pixels, tp, fp, fn (pixels), JaccardIndex, F1Score,
    Precision, Recall, Accuracy, objects_tp, objects_fp, objects_fn. In a row of means the counts are sums over the
    classes, scores the means of those with support, and Accuracy is that of all classes, background included.
    """
    pixels = groups.confusion.sum((1, 2))
    counts, scores = class_scores(groups.confusion)
    counts = np.concatenate([counts, groups.objects], axis=2)
    labels = list(classes[1:])
    if len(labels) > 1:
        trace = np.trace(groups.confusion, axis1=1, axis2=2)
        mean = _mean(scores)
        mean[:, -1] = _ratio(trace, pixels)
        counts = np.concatenate([counts, counts.sum(1, keepdims=True)], axis=1)
        scores = np.concatenate([scores, mean[:, None]], axis=1)
        labels.append(MEAN)
    names = ("positive_pixels", "tp", "fp", "fn", "objects_tp", "objects_fp", "objects_fn")
    return [
        {
            "name": name,
            "class": label,
            "patches": int(groups.patches[g]),
            "pixels": int(pixels[g]),
            **dict(zip(names, map(int, counts[g, k]), strict=True)),
            **dict(zip(SCORES, map(float, scores[g, k]), strict=True)),
        }
        for g, name in enumerate(groups.names)
        for k, label in enumerate(labels)
    ]


SCORES = ("JaccardIndex", "F1Score", "Precision", "Recall", "Accuracy")


def class_scores(confusion: Counts) -> tuple[Counts, Floats]:
    """Of matrices [g, k, k], each foreground class: positives, tp, fp, fn [g, k - 1, 4], and SCORES [g, k - 1, 5].

    Scores are NaN where the class neither occurs nor is predicted; Accuracy only where there is no pixel.
    """
    tp = np.diagonal(confusion, axis1=1, axis2=2)[:, 1:]
    positives, predicted = confusion.sum(2)[:, 1:], confusion.sum(1)[:, 1:]
    fp, fn = predicted - tp, positives - tp
    pixels = confusion.sum((1, 2))[:, None]
    seen = tp + fp + fn > 0
    scores = [
        _ratio(tp, tp + fp + fn),
        _ratio(2 * tp, 2 * tp + fp + fn),
        np.where(seen, np.nan_to_num(_ratio(tp, predicted)), math.nan),
        np.where(seen, np.nan_to_num(_ratio(tp, positives)), math.nan),
        _ratio(pixels - fp - fn, np.broadcast_to(pixels, tp.shape)),
    ]
    return np.stack([positives, tp, fp, fn], axis=2), np.stack(scores, axis=2)


def _mean(scores: Floats) -> Floats:
    """Mean over axis 1 of what is not NaN; NaN where all is."""
    seen = np.isfinite(scores)
    return _ratio(np.where(seen, scores, 0.0).sum(1), seen.sum(1))


def _ratio(numerator: NDArray[np.number], denominator: NDArray[np.number]) -> Floats:
    """Elementwise quotient, NaN where the denominator is 0."""
    quotient: Floats = np.divide(
        numerator, denominator, out=np.full(np.shape(denominator), math.nan), where=denominator > 0
    )
    return quotient
