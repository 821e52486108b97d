"""Kinds of parameters that are given by a density: normal, log-normal, beta, and those rounded to multiples.

A density has no ends of its own, but the setting that it is for may have limits: it is cut off there, and what is left
counts as the whole (no heap of draws at a limit). The outermost 1e-9 on either side is never drawn.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from statistics import NormalDist

from darts_train.base.errors import UserError
from darts_train.experiments.space.multiples import first_multiple, last_multiple, multiple, require_step

TAIL = 1e-9
LEAST_SHARE = 1e-3  # of a density, within the limits of its setting


@dataclass(frozen=True, kw_only=True)
class Density(ABC):
    """Base: a distribution function, cut off at `low` and `high` (None: not), and rounded to multiples of q."""

    q: float | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        low, high = self._shares()
        if not high - low >= LEAST_SHARE:
            raise UserError(f"next to nothing of the distribution is within the limits, {self.low} to {self.high}.")
        if self.q is not None:
            require_step(self.q)
            first, last = self._multiples(self.q)
            if first is not None and last is not None and first > last:
                raise UserError(f"no multiple of {self.q} lies between {self.low} and {self.high}.")

    @abstractmethod
    def below(self, x: float) -> float:
        """The share of the whole density that is less than x (its distribution function)."""

    @abstractmethod
    def quantile(self, share: float) -> float:
        """The number that `share` of the whole density is less than; 0 < share < 1."""

    def at(self, u: float) -> float:
        """The number that a share u of what is within the limits is less than."""
        low, high = self._shares()
        value = self.quantile(min(max(low + u * (high - low), TAIL), 1 - TAIL))
        if self.q is None:
            return _clip(value, self.low, self.high)
        first, last = self._multiples(self.q)
        return multiple(int(_clip(round(value / self.q), first, last)), self.q)

    def share(self, value: float) -> float:
        """The u of a value: `at(share(value))` is that value, but for rounding."""
        low, high = self._shares()
        return min(max((self.below(value) - low) / (high - low), 0.0), 1.0)

    def _shares(self) -> tuple[float, float]:
        low = 0.0 if self.low is None else self.below(self.low)
        return low, 1.0 if self.high is None else self.below(self.high)

    def _multiples(self, q: float) -> tuple[int | None, int | None]:
        low = None if self.low is None else first_multiple(self.low, q)
        return low, None if self.high is None else last_multiple(self.high, q)


@dataclass(frozen=True, kw_only=True)
class Normal(Density):
    """Normal with mean mu and standard deviation sigma."""

    mu: float = 0.0
    sigma: float = 1.0

    def __post_init__(self) -> None:
        _require_bell(self.mu, self.sigma)
        super().__post_init__()

    def below(self, x: float) -> float:
        """The normal distribution function."""
        return NormalDist(self.mu, self.sigma).cdf(x)

    def quantile(self, share: float) -> float:
        """Its inverse."""
        return NormalDist(self.mu, self.sigma).inv_cdf(share)


@dataclass(frozen=True, kw_only=True)
class LogNormal(Density):
    """Numbers whose natural logarithm is normal with mean mu and standard deviation sigma."""

    mu: float = 0.0
    sigma: float = 1.0

    def __post_init__(self) -> None:
        _require_bell(self.mu, self.sigma)
        if self.mu + 7 * self.sigma > 700:
            raise UserError(f"e to the power of mu, {self.mu}, and some sigma, {self.sigma}, is not a number any more.")
        super().__post_init__()

    def below(self, x: float) -> float:
        """The normal distribution function of the logarithm."""
        return NormalDist(self.mu, self.sigma).cdf(math.log(x)) if x > 0 else 0.0

    def quantile(self, share: float) -> float:
        """Its inverse."""
        return math.exp(NormalDist(self.mu, self.sigma).inv_cdf(share))


@dataclass(frozen=True, kw_only=True)
class Beta(Density):
    """Numbers between 0 and 1 with density x^(a-1) · (1-x)^(b-1), scaled to 1."""

    a: float = 1.0
    b: float = 1.0

    def __post_init__(self) -> None:
        if not all(math.isfinite(shape) and shape > 0 for shape in (self.a, self.b)):
            raise UserError(f"a, {self.a}, and b, {self.b}, must be numbers greater than 0.")
        super().__post_init__()

    def below(self, x: float) -> float:
        """The regularised incomplete beta function."""
        from scipy.special import betainc

        return float(betainc(self.a, self.b, min(max(x, 0.0), 1.0)))

    def quantile(self, share: float) -> float:
        """Its inverse."""
        from scipy.special import betaincinv

        return float(betaincinv(self.a, self.b, share))


def _require_bell(mu: float, sigma: float) -> None:
    if not (math.isfinite(mu) and math.isfinite(sigma) and sigma > 0):
        raise UserError(f"mu, {mu}, must be a number, and sigma, {sigma}, a number greater than 0.")


def _clip(value: float, low: float | None, high: float | None) -> float:
    value = value if low is None else max(value, low)
    return value if high is None else min(value, high)
