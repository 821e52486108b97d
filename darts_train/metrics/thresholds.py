"""Where to cut probabilities, and how far that place would move on other scenes: the percentile bootstrap over scenes.

Counts are histograms over scores, one per scene (`metrics/histogram.py`, or bins of logits); a cut is an edge between
bins. As everywhere scenes are drawn, not pixels (`metrics/intervals.py`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from darts_train.metrics.intervals import LEVEL, RESAMPLES, SEED
from darts_train.options.ensembles import Criterion

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
_BLOCK = 64  # draws at a time


@dataclass(frozen=True)
class Cut:
    """The best cut, and its doubt.

    Attributes:
        edge: pixels in bins from here on are positive, 1 … bins - 1.
        score: of this cut on all scenes.
        edges: the interval of the best edge over draws of scenes; None where there are fewer than two with positives.
        scores: likewise of the score of the cut that was chosen.
        scenes: how many there are.
    """

    edge: int
    score: float
    edges: tuple[float, float] | None
    scores: tuple[float, float] | None
    scenes: int


def best_cut(
    counts: Counts, criterion: Criterion, default: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> Cut | None:
    """The edge with the best score of all scenes together; of equal ones the nearest to `default`.

    Args:
        counts: int64 [scenes, 2, bins], background and positives of each scene.
        criterion: IoU or F1 of the positives. One rises with the other, so they differ in what is reported.
        default: the edge of a probability of one half.
        resamples: draws of scenes.
        level: share of the draws between the limits.

    Returns None without any positive pixel, where no cut is better than another.
    """
    total = counts.sum(0)
    if not total[1].sum():
        return None
    scores = _scores(total[None].astype(np.float64), criterion)
    edge = int(_best(scores, default)[0])
    scenes = len(counts)
    if (counts[:, 1].sum(-1) > 0).sum() < 2:
        return Cut(edge, float(scores[0, edge]), None, None, scenes)
    drawn_edges, drawn_scores = _drawn(counts, criterion, default, edge, resamples)
    limits = [(1 - level) / 2, (1 + level) / 2]
    edges, spread = (tuple(map(float, np.quantile(found, limits))) for found in (drawn_edges, drawn_scores))
    return Cut(edge, float(scores[0, edge]), (edges[0], edges[1]), (spread[0], spread[1]), scenes)


def _drawn(counts: Counts, criterion: Criterion, default: int, edge: int, resamples: int) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(SEED)
    flat, scenes = counts.reshape(len(counts), -1).astype(np.float64), len(counts)
    shares = np.full(scenes, 1 / scenes)
    edges, values = [], []
    for start in range(0, resamples, _BLOCK):
        draws = generator.multinomial(scenes, shares, min(_BLOCK, resamples - start)) @ flat
        draws = draws.reshape(-1, *counts.shape[1:])
        scores = _scores(draws[draws[:, 1].sum(-1) > 0], criterion)  # a draw without positives says nothing
        edges.append(_best(scores, default))
        values.append(scores[:, edge])
    return np.concatenate(edges).astype(np.float64), np.concatenate(values)


def _scores(counts: Floats, criterion: Criterion) -> Floats:
    """Scores float64 [n, bins] of the edges of [n, 2, bins]; edge k counts bins from k on as positive."""
    above = counts[..., ::-1].cumsum(-1)[..., ::-1]
    positives = above[:, 1, :1]
    tp, predicted = above[:, 1], above.sum(1)
    if criterion == "f1":
        return np.asarray(2 * tp / np.maximum(predicted + positives, 1), np.float64)
    return np.asarray(tp / np.maximum(predicted + positives - tp, 1), np.float64)


def _best(scores: Floats, default: int) -> NDArray[np.int64]:
    """Of each row the best edge but the first, the nearest to `default` of equal ones."""
    inner = scores[:, 1:]
    distance = np.abs(np.arange(1, scores.shape[1]) - default)
    best = np.where(inner == inner.max(1, keepdims=True), distance, np.iinfo(np.int64).max)
    return np.asarray(best.argmin(1) + 1, np.int64)
