"""Objects instead of pixels: how many were found, missed, and made up.

An object is an 8-connected group of pixels. Truth and prediction are matched one to one, so neither can be counted
twice, and labels are int32: any number of objects.

**Ignored pixels** belong to no object: both masks lose them first, so a prediction that is right at every valid pixel
scores 1, whatever it says beyond. What of a predicted object then lies in the open is compared as it is; but where more
than half of the whole object is ignored, it counts nowhere unless it matches: nobody can say that it is wrong.

**Matching** takes, of all one-to-one assignments of pairs with an IoU of at least 0.3, those with the most pairs, and
of these the one with the largest sum of IoUs. Objects of one mask are disjoint, so at this threshold an object has at
most three candidates, and the problem falls apart into groups of a few objects (most of them one pair).

**Average precision** scores objects by their mean probability; it is Σ (Rₖ - Rₖ₋₁)·Pₖ over falling scores, as in
scikit-learn, with a recall that counts the missed objects too. The matching does not look at the scores (COCO's does).
Scores are counted in 16384 bins, so a million specks of a bad network take no more memory than one lake.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from darts_train.metrics.names import INSTANCE_METRICS

MATCHING_IOU = 0.3
SCORE_BINS = 2**14
Mask = NDArray[np.bool_]
Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Matched:
    """One patch, compared.

    Attributes:
        scores: float32 [p], mean probability of each predicted object that counts.
        hits: bool [p], whether it is matched.
        missed: number of true objects without a match.
    """

    scores: NDArray[np.float32]
    hits: Mask
    missed: int

    @property
    def counts(self) -> tuple[int, int, int]:
        """True positives, false positives, false negatives, in objects."""
        found = int(self.hits.sum())
        return found, len(self.hits) - found, self.missed


def objects(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """8-connected components of a bool [h, w] mask: labels 1 … n (0 elsewhere), and n."""
    if not mask.any():
        return np.zeros(mask.shape, np.int32), 0
    labels, count = label(mask, structure=np.ones((3, 3), bool))
    return labels.astype(np.int32, copy=False), int(count)


def match_objects(
    truth: Mask, predicted: Mask, ignored: Mask, probability: NDArray[np.floating], threshold: float = MATCHING_IOU
) -> Matched:
    """Compare the objects of one patch; see the head of this file for the rules.

    Args:
        truth: bool [h, w], what is of the class.
        predicted: bool [h, w], what is said to be.
        ignored: bool [h, w], what counts nowhere.
        probability: float [h, w], of the class.
        threshold: Smallest IoU of a match, above 0.
    """
    true_labels, true_count = objects(truth & ~ignored)
    labels, count = objects(predicted & ~ignored)
    if count == 0:
        return Matched(np.zeros(0, np.float32), np.zeros(0, bool), true_count)
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    total = np.bincount(labels.ravel(), weights=probability.ravel().astype(np.float64), minlength=count + 1)[1:]
    partner = assign(*overlaps(true_labels, labels, true_count, count), threshold, (true_count, count))
    hits = partner >= 0
    counted = hits | ~_mostly_ignored(predicted, ignored, labels, count)
    return Matched((total / area)[counted].astype(np.float32), hits[counted], true_count - int(hits.sum()))


def overlaps(
    true_labels: NDArray[np.int32], labels: NDArray[np.int32], true_count: int, count: int
) -> tuple[Ids, Ids, Floats]:
    """The pairs of objects that share a pixel, numbered from 0: true ids, predicted ids, IoUs; all [pairs]."""
    both = (true_labels > 0) & (labels > 0)
    places = true_labels[both] - 1, labels[both] - 1
    table = coo_array((np.ones(len(places[0]), np.int64), places), shape=(true_count, count))
    table.sum_duplicates()
    true_ids, ids = (np.asarray(places, np.int64) for places in table.coords)
    shared = table.data
    true_area = np.bincount(true_labels.ravel(), minlength=true_count + 1)[1:]
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    return true_ids, ids, shared / (true_area[true_ids] + area[ids] - shared)


def assign(true_ids: Ids, ids: Ids, iou: Floats, threshold: float, sizes: tuple[int, int]) -> Ids:
    """The true object of each predicted one, -1 for none: int64 [count].

    Args:
        true_ids: int64 [pairs], numbered from 0, of the pairs of objects that share a pixel.
        ids: int64 [pairs], of the predicted ones.
        iou: [pairs].
        threshold: Smallest IoU of a match, above 0.
        sizes: how many objects there are, true and predicted ones.
    """
    true_count, count = sizes
    partner = np.full(count, -1, np.int64)
    near = iou >= threshold
    true_ids, ids, iou = true_ids[near], ids[near], iou[near]
    if not len(ids):
        return partner
    graph = coo_array((np.ones(len(ids)), (true_ids, ids + true_count)), shape=(true_count + count,) * 2)
    group = connected_components(graph, directed=False)[1][true_ids]
    alone = np.bincount(group)[group] == 1
    partner[ids[alone]] = true_ids[alone]
    for number in np.unique(group[~alone]):
        of = group == number
        for true_id, one in _best_pairs(true_ids[of], ids[of], iou[of]):
            partner[one] = true_id
    return partner


def _best_pairs(true_ids: Ids, ids: Ids, iou: Floats) -> Iterable[tuple[int, int]]:
    """The most pairs, then the largest sum of IoUs, of one group of candidates."""
    rows, row = np.unique(true_ids, return_inverse=True)
    columns, column = np.unique(ids, return_inverse=True)
    gain = np.zeros((len(rows), len(columns)))
    # A pair more outweighs any gain in IoU: all IoUs together are at most the smaller side.
    gain[row, column] = min(gain.shape) + iou
    chosen = [(r, c) for r, c in zip(*linear_sum_assignment(gain, maximize=True), strict=True) if gain[r, c] > 0]
    return [(int(rows[r]), int(columns[c])) for r, c in chosen]


def _mostly_ignored(predicted: Mask, ignored: Mask, labels: NDArray[np.int32], count: int) -> Mask:
    """Of which pieces the whole predicted object is ignored by more than half: bool [count]."""
    if not (predicted & ignored).any():
        return np.zeros(count, bool)
    whole, n = objects(predicted)
    size = np.bincount(whole.ravel(), minlength=n + 1)
    hidden = np.bincount(whole[ignored], minlength=n + 1)
    of_piece = np.zeros(count + 1, np.int64)
    of_piece[labels.ravel()] = whole.ravel()  # all pixels of a piece are of one whole
    mostly: Mask = 2 * hidden[of_piece[1:]] > size[of_piece[1:]]
    return mostly


class InstanceMetrics:
    """Objects of one class over any number of patches, in 256 KiB however many there are."""

    def __init__(self, threshold: float = MATCHING_IOU) -> None:
        self.threshold = threshold
        self.missed = 0
        self._scored = np.zeros((2, SCORE_BINS), np.int64)  # predicted objects without and with a match, by score

    def update(
        self, truth: Mask, predicted: Mask, ignored: Mask, probability: NDArray[np.floating]
    ) -> tuple[int, int, int]:
        """Add one patch (arguments as in `match_objects`). Returns its true and false positives and false negatives."""
        return self.add(match_objects(truth, predicted, ignored, probability, self.threshold))

    def add(self, matched: Matched) -> tuple[int, int, int]:
        """Add what was compared already. Returns its true and false positives and false negatives."""
        place = np.clip(np.nan_to_num(matched.scores) * SCORE_BINS, 0, SCORE_BINS - 1).astype(np.int64)
        np.add.at(self._scored, (matched.hits.astype(np.int64), place), 1)
        self.missed += matched.missed
        return matched.counts

    def counts(self) -> tuple[int, int, int]:
        """True positives, false positives, false negatives so far."""
        extra, found = (int(n) for n in self._scored.sum(1))
        return found, extra, self.missed

    def precision_recall(self) -> tuple[Floats, Floats]:
        """Recall (from 0, rising) and precision (from 1), as objects of ever lower scores are let in."""
        return precision_recall(self._scored, self.missed)

    def compute(self) -> dict[str, float]:
        """All of INSTANCE_METRICS; NaN where there is no object, neither true nor predicted: nothing was measured."""
        tp, fp, fn = self.counts()
        if tp + fp + fn == 0:
            return dict.fromkeys(INSTANCE_METRICS, math.nan)
        recall, precision = self.precision_recall()
        values = (
            tp / (tp + fp + fn),
            tp / (tp + fp) if tp + fp else 0.0,
            tp / (tp + fn) if tp + fn else 0.0,
            2 * tp / (2 * tp + fp + fn),
            float(np.sum(np.diff(recall) * precision[1:])),
        )
        return dict(zip(INSTANCE_METRICS, values, strict=True))


def precision_recall(scored: Ids, missed: int) -> tuple[Floats, Floats]:
    """Recall and precision at every score that occurs, from the highest; float64 [distinct + 1], first (0, 1).

    Args:
        scored: int64 [2, bins], objects without (row 0) and with a match (row 1) in each bin, scores rising.
        missed: How many true objects no prediction matches. Without any true object recalls are 0.
    """
    occurs = np.flatnonzero(scored.sum(0))[::-1]
    extra, found = scored[:, occurs].cumsum(1)
    recall = found / max(int(scored[1].sum()) + missed, 1)
    return np.concatenate([[0.0], recall]), np.concatenate([[1.0], found / (found + extra)])
