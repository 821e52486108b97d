"""Several metrics of a run as one number. Arithmetic only; see `experiments/scoring` for what a score is."""

import math
from collections.abc import Sequence

from darts_train.options.searching import Strategy


def combine(values: Sequence[float], strategy: Strategy) -> float:
    """One number of several, each of which is better when higher; NaN where one of them is NaN.

    harmonic n / Σ(1/v), geometric (Π v)^(1/n): 0.0 where a value is 0 or less. arithmetic, min: any values.
    """
    if any(math.isnan(value) for value in values):
        return math.nan
    if strategy == "arithmetic":
        return mean(values)
    if strategy == "min":
        return min(values)
    if any(value <= 0 for value in values):
        return 0.0
    if strategy == "harmonic":
        return len(values) / _sum([1 / value for value in values])
    return math.exp(mean([math.log(value) for value in values]))


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, the same for any order of finite values; NaN and infinities as IEEE 754 adds them."""
    return _sum(values) / len(values)


def reciprocal(value: float) -> float:
    """1/value, infinite for 0: how a metric of which less is better enters a score."""
    return 1 / value if value != 0 else math.inf


def _sum(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):  # beyond the range of floats; inf - inf
        return sum(values)
