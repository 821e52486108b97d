"""The kinds of things a search varies: one class per distribution, whichever file it was written in.

Each kind maps a number from [0, 1) to a value (`at`); that is all a search without memory needs, and makes every
draw a pure function. What Optuna stores of them, to learn from, is in `stored_values.py`; the bell-shaped kinds are in
`densities.py`.
"""

import dataclasses
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar

from darts_train.base.errors import UserError
from darts_train.experiments.space.densities import Beta, LogNormal, Normal
from darts_train.experiments.space.multiples import first_multiple, last_multiple, multiple, require_step


@dataclass(frozen=True)
class Constant:
    """Always the same value."""

    value: Any

    def at(self, u: float) -> Any:
        """The value, whatever `u`."""
        return self.value


@dataclass(frozen=True)
class Choice:
    """One of several values, each as likely, or each with its own probability (they add up to 1)."""

    values: tuple[Any, ...]
    probabilities: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.values:
            raise UserError("the list of choices is empty.")
        if any(_same(a, b) for i, a in enumerate(self.values) for b in self.values[:i]):
            raise UserError("a choice comes twice.")
        if self.probabilities is not None:
            _check_probabilities(self.probabilities, len(self.values))

    def at(self, u: float) -> Any:
        """Values have parts of [0, 1), in their order, that are equal or as large as their probabilities."""
        if self.probabilities is None:
            return self.values[int(u * len(self.values))]
        ends = list(accumulate(self.probabilities))
        return self.values[bisect_right(ends[:-1], u * ends[-1])]


@dataclass(frozen=True)
class Range:
    """Base of what lies between two finite numbers, `low` < `high`."""

    low: float
    high: float
    whole: ClassVar[bool] = False  # whether only whole numbers come out

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise UserError(f"the ends {self.low} and {self.high} must be finite.")
        if self.low >= self.high:
            raise UserError(f"the low end, {self.low}, must be less than the high end, {self.high}.")

    def clip(self, value: float) -> float:
        """Undo what rounding may push beyond an end."""
        return min(max(value, self.low), self.high)


@dataclass(frozen=True)
class Uniform(Range):
    """Every number from low to high, each as likely."""

    def at(self, u: float) -> float:
        """A share u of the way from low to high."""
        return self.clip(self.low + u * (self.high - self.low))


@dataclass(frozen=True)
class LogUniform(Range):
    """Numbers whose logarithm is uniform: as many between 1e-4 and 1e-3 as between 1e-3 and 1e-2."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low <= 0:
            raise UserError(f"the low end of a logarithmic range, {self.low}, must be greater than 0.")

    def at(self, u: float) -> float:
        """A share u of the way between the logarithms."""
        return self.clip(math.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low))))


@dataclass(frozen=True)
class ReversedLogUniform(Range):
    """Numbers x < n whose distance n - x is log-uniform: dense near n, as a decay factor near 1 wants it."""

    n: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.high < self.n:
            raise UserError(f"the high end, {self.high}, must be less than n, {self.n}.")

    @property
    def distance(self) -> LogUniform:
        """The range of n - x."""
        return LogUniform(self.n - self.high, self.n - self.low)

    def at(self, u: float) -> float:
        """Growing with u."""
        return self.clip(self.n - self.distance.at(1 - u))


@dataclass(frozen=True)
class IntUniform(Range):
    """Whole numbers from low to high, both included, each as likely."""

    whole: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if int(self.low) != self.low or int(self.high) != self.high:
            raise UserError(f"the ends {self.low} and {self.high} must be whole numbers.")

    def at(self, u: float) -> int:
        """Whole numbers have equal parts of [0, 1)."""
        return int(self.low) + int(u * (int(self.high) - int(self.low) + 1))


@dataclass(frozen=True)
class QUniform(Range):
    """Multiples of q from low to high, each as likely (wandb gives the outer ones half the weight)."""

    q: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_step(self.q)
        if self.first > self.last:
            raise UserError(f"no multiple of {self.q} lies between {self.low} and {self.high}.")

    @property
    def first(self) -> int:
        """The least k with k · q in the range."""
        return first_multiple(self.low, self.q)

    @property
    def last(self) -> int:
        """The greatest k with k · q in the range."""
        return last_multiple(self.high, self.q)

    def multiple(self, k: int) -> float:
        """The multiple k · q."""
        return multiple(k, self.q)

    def at(self, u: float) -> float:
        """Multiples have equal parts of [0, 1)."""
        return self.multiple(self.first + int(u * (self.last - self.first + 1)))


@dataclass(frozen=True)
class QLogUniform(QUniform):
    """Multiples of q from low to high, each as likely as the numbers of a `LogUniform` that it is nearest to."""

    def __post_init__(self) -> None:
        super().__post_init__()
        LogUniform(self.low, self.high)  # refuses a low end of 0

    def at(self, u: float) -> float:
        """The multiple nearest to what a logarithmic range gives."""
        nearest = round(LogUniform(self.low, self.high).at(u) / self.q)
        return self.multiple(min(max(nearest, self.first), self.last))


Parameter = (
    Constant
    | Choice
    | Uniform
    | LogUniform
    | ReversedLogUniform
    | IntUniform
    | QUniform
    | QLogUniform
    | Normal
    | LogNormal
    | Beta
)
KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in Parameter.__args__}


def parameter_to_json(parameter: Parameter) -> dict[str, Any]:
    """A parameter as plain values, its class under `kind`; what is None is left out."""
    values = {field.name: getattr(parameter, field.name) for field in dataclasses.fields(parameter)}
    if not isinstance(parameter, Constant):
        values = {name: value for name, value in values.items() if value is not None}
    return {"kind": type(parameter).__name__, **values}


def parameter_from_json(values: Mapping[str, Any]) -> Parameter:
    """The parameter that `parameter_to_json` gave; lists, JSON's tuples, become tuples again."""
    arguments = {name: _tuples(value) for name, value in values.items() if name != "kind"}
    try:
        made: Parameter = KINDS[values["kind"]](**arguments)
    except (KeyError, TypeError) as error:
        raise UserError(f"a stored parameter cannot be read ({error!r}); was it written by another version?") from None
    return made


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _check_probabilities(probabilities: tuple[float, ...], count: int) -> None:
    if len(probabilities) != count:
        raise UserError(f"there are {count} values, but {len(probabilities)} probabilities.")
    if not all(math.isfinite(p) and p >= 0 for p in probabilities) or abs(sum(probabilities) - 1) > 1e-6:
        raise UserError(f"the probabilities {list(probabilities)} must be 0 or more and add up to 1.")


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)
