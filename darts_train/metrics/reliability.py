"""Whether probabilities mean what they say, and the one number that makes them calmer or bolder.

Guo et al. 2017 (On calibration of modern neural networks): logits are divided by a temperature that minimises the log
loss. That loss is convex in the inverse of the temperature, so a search along a line finds the one minimum; order of
probabilities, and of classes, stays as it is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15  # as Guo et al. have it
COLDEST, HOTTEST = 0.05, 20.0
Floats = NDArray[np.float64]
_STEPS = 80
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Reliability:
    """Pixels by what was said of them, all float64 [bins]: how many, what was said and how often it came true.

    Means are NaN in bins without pixels.
    """

    pixels: Floats
    said: Floats
    true: Floats

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of both means, by pixels; NaN without a pixel."""
        if not self.pixels.sum():
            return float("nan")
        filled = self.pixels > 0
        return float(np.average(np.abs(self.said - self.true)[filled], weights=self.pixels[filled]))


def reliability(logits: NDArray[np.floating], labels: NDArray[np.integer], bins: int = BINS) -> Reliability:
    """The diagram of logits [n, k] and labels [n], in bins of equal width.

    One logit: of the probability of the positive class. Several: of the most probable class, and whether it is right.
    """
    if logits.shape[1] == 1:
        said, true = np.exp(-np.logaddexp(0, -logits[:, 0].astype(np.float64))), labels > 0
    else:
        logs = _log_softmax(logits)
        said, true = np.exp(logs.max(1)), logs.argmax(1) == labels
    place = np.minimum((said * bins).astype(np.int64), bins - 1)
    pixels = np.bincount(place, minlength=bins).astype(np.float64)
    with np.errstate(invalid="ignore"):
        sums = (np.bincount(place, values, bins) / pixels for values in (said, true.astype(np.float64)))
        return Reliability(pixels, *sums)


def temperature(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """The temperature, within COLDEST and HOTTEST, with the least log loss; 1 without a pixel.

    Args:
        logits: float [n, k]; k = 1 for two classes.
        labels: integer [n].
    """
    if not len(labels):
        return 1.0
    values = logits.astype(np.float64)
    low, high = 1 / HOTTEST, 1 / COLDEST  # golden section over the inverse
    inner = [high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)]
    losses = [cross_entropy(values * one, labels) for one in inner]
    for _ in range(_STEPS):
        if high - low < 1e-5 * high:
            break
        if losses[0] <= losses[1]:
            high, inner[1], losses[1] = inner[1], inner[0], losses[0]
            inner[0] = high - _GOLDEN * (high - low)
            losses[0] = cross_entropy(values * inner[0], labels)
        else:
            low, inner[0], losses[0] = inner[0], inner[1], losses[1]
            inner[1] = low + _GOLDEN * (high - low)
            losses[1] = cross_entropy(values * inner[1], labels)
    return 2 / (low + high)


def cross_entropy(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Mean log loss of logits [n, k] and labels [n], natural logarithm; NaN without a pixel."""
    if not len(labels):
        return float("nan")
    values = logits.astype(np.float64)
    if values.shape[1] == 1:
        return float(np.logaddexp(0, np.where(labels > 0, -values[:, 0], values[:, 0])).mean())
    return float(-np.take_along_axis(_log_softmax(values), labels[:, None].astype(np.int64), 1).mean())


def _log_softmax(logits: NDArray[np.floating]) -> Floats:
    values = logits.astype(np.float64)
    values = values - values.max(1, keepdims=True)
    return np.asarray(values - np.log(np.exp(values).sum(1, keepdims=True)), np.float64)
