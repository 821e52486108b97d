"""How much each of several forecasters should count: weights of their mean that make what happened most likely.

For the mean p = Σ wᵢ pᵢ of what each says of the label that is there, Σ log p is concave in w, so it has one greatest
value over weights that sum to 1. Expectation maximisation (Dempster, Laird, Rubin 1977) goes there, never leaves the
simplex and never loses likelihood; where two forecasters are almost equal it creeps, so its steps are lengthened while
that gains (Salakhutdinov and Roweis 2003). It ends where it is sure: the likelihood is concave, so no mixture is better
than the present one by more than its steepest slope towards a single forecaster. Why the log loss and not the IoU: it
is a proper score that every pixel enters, where the IoU at a threshold is a staircase that only pixels beside the
threshold move.
"""

import numpy as np
from numpy.typing import NDArray

LEAST = 1e-7  # probability of a label: no pixel alone rules a forecaster out
ROUNDS, GAP = 1000, 1e-5  # nats a pixel that the best mixture may be ahead
LONGER, LONGEST = 1.5, 32.0  # a step that gained is followed by one of so many times its length, at most
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
    mixed, length = weights @ likely, 1.0
    for _ in range(ROUNDS):
        pull = likely @ (1 / mixed) / pixels  # above 1: of this forecaster more
        if pull.max() - 1 <= GAP:
            break
        bold, far = _step(weights, likely, pull**length)
        gained = float(np.log(far).mean()) >= float(np.log(mixed).mean())
        length = min(LONGER * length, LONGEST) if gained else 1.0
        weights, mixed = (bold, far) if gained else _step(weights, likely, pull)
    return weights


def _step(weights: Floats, likely: Floats, factors: Floats) -> tuple[Floats, Floats]:
    """Weights by their factors, their sum 1, and what their mean says."""
    found: Floats = weights * factors
    found /= found.sum()
    return found, found @ likely


def log_loss(said: NDArray[np.floating], weights: NDArray[np.floating]) -> float:
    """Mean of -log of what the weighted mean gives to the label of each pixel; NaN without a pixel."""
    if not said.shape[1]:
        return float("nan")
    mixed = np.asarray(weights, np.float64) @ np.maximum(said, LEAST).astype(np.float64)
    return float(-np.log(mixed).mean())
