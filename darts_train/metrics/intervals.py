"""How far a score would move on other scenes of the same kind: the percentile bootstrap (Efron 1979).

Scenes are drawn with replacement and their confusion matrices added up. Scenes, not pixels or patches: neighbouring
pixels are no independent evidence, and an interval over them would be far too narrow. With few scenes (below ten, say)
the interval is too narrow too, as the bootstrap only knows the scenes it was given.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES, LEVEL, SEED = 1000, 0.95, 42
_BLOCK = 2**20  # entries of the matrix of draws that are held at once
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A confidence interval at `level`, from `resamples` draws over `scenes` scenes."""

    low: float
    high: float
    level: float
    scenes: int
    resamples: int


def jaccard(matrices: NDArray[np.number]) -> Floats:
    """Mean IoU of the foreground classes of confusion matrices [..., k, k] → float64 [...].

    A class that neither occurs nor is predicted is left out; NaN where this leaves none.
    """
    m = np.asarray(matrices, np.float64)
    tp = np.diagonal(m, axis1=-2, axis2=-1)[..., 1:]
    union = m.sum(-1)[..., 1:] + m.sum(-2)[..., 1:] - tp
    seen = union > 0
    iou = np.divide(tp, union, out=np.zeros_like(tp), where=seen)
    classes = seen.sum(-1)
    mean: Floats = np.divide(iou.sum(-1), classes, out=np.full(classes.shape, math.nan), where=classes > 0)
    return mean


def jaccard_interval(
    counts: Counts, resamples: int = RESAMPLES, level: float = LEVEL, seed: int = SEED
) -> Interval | None:
    """The interval of the IoU over scenes.

    Args:
        counts: int64 [scenes, k, k], the confusion matrix of each scene.
        resamples: Number of draws.
        level: Share of the draws between the limits.
        seed: The same counts and seed give the same limits.

    Returns:
        None with fewer than two scenes, where nothing can vary, or where no draw has anything to score. Draws without
        foreground have no IoU and are left out.
    """
    if len(counts) < 2:
        return None
    shape = counts.shape[1:]
    flat = np.asarray(counts).reshape(len(counts), -1)
    return intervals(flat, lambda drawn: jaccard(drawn.reshape(-1, *shape))[:, None], resamples, level, seed)[0]


def intervals(
    counts: Counts,
    score: Callable[[Floats], Floats],
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = SEED,
) -> list[Interval | None]:
    """The intervals over scenes of scores that are computed from sums of counts.

    Args:
        counts: int64 [scenes, n], what was counted in each scene.
        score: float64 [draws, n], sums over the scenes drawn → float64 [draws, m]; NaN where nothing can be said.
        resamples: Number of draws, the same for all scores.
        level: Share of the draws between the limits.
        seed: The same counts and seed give the same limits.

    Returns:
        One of each score, m in all. None with fewer than two scenes, and where no draw has anything to score.
    """
    scenes = len(counts)
    if scenes < 2:
        return [None] * score(np.zeros((1, counts.shape[1]))).shape[1]
    flat = np.asarray(counts, np.float64)  # sums are exact up to 2⁵³ pixels
    generator = np.random.default_rng(seed)
    step = max(1, _BLOCK // scenes)
    shares = np.full(scenes, 1 / scenes)
    draws = [
        score(generator.multinomial(scenes, shares, min(step, resamples - start)) @ flat)
        for start in range(0, resamples, step)
    ]
    return [_limits(column, level, scenes, resamples) for column in np.concatenate(draws).T]


def _limits(scored: Floats, level: float, scenes: int, resamples: int) -> Interval | None:
    scored = scored[np.isfinite(scored)]
    if not len(scored):
        return None
    low, high = np.quantile(scored, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, scenes, resamples)


def mean_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """Student's interval of the mean of some scores, x̄ ± t·s/√n; None with fewer than two, or one not finite.

    Scores of folds share training data, so that the interval is rather too narrow (Bengio and Grandvalet 2004: no
    estimate of this variance is free of bias).
    """
    from scipy.special import stdtrit

    found = np.asarray(values, np.float64)
    if len(found) < 2 or not np.isfinite(found).all():
        return None
    half = float(stdtrit(len(found) - 1, (1 + level) / 2) * found.std(ddof=1) / math.sqrt(len(found)))
    return float(found.mean()) - half, float(found.mean()) + half
