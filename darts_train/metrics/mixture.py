"""How much each of several forecasters should count: weights of their mean that make what happened most likely.

For the mean p = Σ wᵢ pᵢ of what each says of the label that is there, Σ log p is concave in w, so it has one greatest
value over weights that sum to 1. Expectation maximisation (Dempster, Laird, Rubin 1977) goes there without a step
size, never leaves the simplex and never loses likelihood. Why the log loss and not the IoU: it is a proper score that
every pixel enters, where the IoU at a threshold is a staircase that only pixels beside the threshold move.
"""

import numpy as np
from numpy.typing import NDArray

LEAST = 1e-7  # probability of a label: no pixel alone rules a forecaster out
ROUNDS, GAIN = 500, 1e-9
Floats = NDArray[np.float64]


def mixture_weights(said: NDArray[np.floating]) -> Floats:
    """Weights float64 [m], 0 or above, their sum 1, that maximise the likelihood of the labels.

    Args:
        said: float [m, pixels], the probability that each forecaster gave to the label of each pixel.

    Without a pixel all weights are equal.
    """
    members, pixels = said.shape
    weights = np.full(members, 1 / members)
    if not pixels or members == 1:
        return weights
    likely = np.maximum(said, LEAST).astype(np.float64)
    before = -np.inf
    for _ in range(ROUNDS):
        mixed = weights @ likely
        now = float(np.log(mixed).mean())
        if now - before < GAIN:
            break
        before = now
        weights = weights * (likely @ (1 / mixed)) / pixels
    found: Floats = weights / weights.sum()
    return found


def log_loss(said: NDArray[np.floating], weights: NDArray[np.floating]) -> float:
    """Mean of -log of what the weighted mean gives to the label of each pixel; NaN without a pixel."""
    if not said.shape[1]:
        return float("nan")
    mixed = np.asarray(weights, np.float64) @ np.maximum(said, LEAST).astype(np.float64)
    return float(-np.log(mixed).mean())
