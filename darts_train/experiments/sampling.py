"""Which point of the space a trial tries.

random and grid: a pure function of the trial's number (and of 42), so that any process, asked again after a crash,
gives the same point, and no two trials get the same one by accident of timing. Each parameter has its own stream
of numbers: one more parameter in the file changes nothing for the others.
tpe: Optuna's, which learns from finished trials; seeded by the trial's number.

Optuna stores what it can learn from: a choice by its label (text, number or truth value; JSON for a list), a
reversed logarithmic range by its distance from n.
"""

import json
import random
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from darts_train.experiments.field_values import field_value
from darts_train.experiments.parameters import (
    Choice,
    Constant,
    IntUniform,
    LogUniform,
    Parameter,
    QUniform,
    ReversedLogUniform,
)
from darts_train.experiments.search_space import LARGEST_GRID, SearchSpace
from darts_train.experiments.settings import plain

SamplerName = Literal["random", "grid", "tpe"]
SEED = 42


def point(space: SearchSpace, number: int) -> dict[str, Any]:
    """The values that trial `number` tries, without regard to other trials.

    A finite space is walked in an order shuffled with seed 42, each combination once per round; every other one is
    drawn from at random.
    """
    size = space.size
    if size is not None and size <= LARGEST_GRID:
        choices = space.choices()
        index = _order(size)[number % size]
        return dict(zip(choices, _combination(list(choices.values()), index), strict=True))
    return {name: field_value(name, draw(name, parameter, number)) for name, parameter in space.parameters.items()}


def draw(name: str, parameter: Parameter, number: int) -> Any:
    """Draw `number` of a parameter's own stream."""
    return parameter.at(random.Random(f"{SEED}:{number}:{name}").random())


@cache
def _order(size: int) -> tuple[int, ...]:
    order = list(range(size))
    random.Random(SEED).shuffle(order)
    return tuple(order)


def _combination(choices: list[tuple[Any, ...]], index: int) -> list[Any]:
    """Combination `index` of the product of `choices`, the last varying fastest."""
    chosen = []
    for values in reversed(choices):
        index, position = divmod(index, len(values))
        chosen.append(values[position])
    return chosen[::-1]


def label(value: Any) -> Any:
    """A choice as Optuna stores it: as it is where it is one plain value, as JSON where it is a list."""
    value = plain(value)
    return json.dumps(value) if isinstance(value, list) else value


def distribution(parameter: Parameter) -> BaseDistribution | None:
    """Optuna's distribution of what it stores of a parameter; None for a constant, which is not stored."""
    match parameter:
        case Constant():
            return None
        case Choice():
            return CategoricalDistribution([label(value) for value in parameter.values])
        case IntUniform():
            return IntDistribution(int(parameter.low), int(parameter.high))
        case QUniform():
            return IntDistribution(parameter.first, parameter.last)
        case ReversedLogUniform():
            return FloatDistribution(parameter.distance.low, parameter.distance.high, log=True)
        case _:
            return FloatDistribution(parameter.low, parameter.high, log=isinstance(parameter, LogUniform))


def to_stored(parameter: Parameter, value: Any) -> Any:
    """What Optuna stores for a value of a parameter."""
    match parameter:
        case Choice():
            return label(value)
        case QUniform():
            return round(value / parameter.q)
        case ReversedLogUniform():
            return parameter.distance.clip(parameter.n - value)
        case _:
            return value


def from_stored(parameter: Parameter, stored: Any) -> Any:
    """The value of a parameter for which Optuna stores `stored`."""
    match parameter:
        case Constant():
            return parameter.value
        case Choice():
            return parameter.values[[label(value) for value in parameter.values].index(stored)]
        case QUniform():
            return parameter.multiple(stored)
        case ReversedLogUniform():
            return parameter.clip(parameter.n - stored)
        case _:
            return stored


def values_of(space: SearchSpace, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all parameters, as the settings take them, from what Optuna stored of a trial."""
    return {
        name: field_value(name, from_stored(parameter, stored.get(name)))
        for name, parameter in space.parameters.items()
    }


class PointSampler(BaseSampler):
    """Optuna's face of `point`."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing depends on anything."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing depends on anything."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The stored form of this parameter's value at the trial's number."""
        return to_stored(self._space.parameters[param_name], point(self._space, trial.number)[param_name])


class SeededTPE(BaseSampler):
    """Optuna's TPE, multivariate and aware of running trials, its random numbers those of the trial's number."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As TPE."""
        return _tpe(trial.number).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As TPE."""
        return _tpe(trial.number).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As TPE, with a stream of numbers for each parameter."""
        tpe = _tpe(trial.number, sum(param_name.encode()))
        return tpe.sample_independent(study, trial, param_name, param_distribution)


def _tpe(number: int, stream: int = 0) -> TPESampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # multivariate was experimental before Optuna 5
        return TPESampler(seed=SEED + 1000 * number + stream, multivariate=True, constant_liar=True)


def make_sampler(name: SamplerName, space: SearchSpace) -> BaseSampler:
    """The sampler of a study. Raises UserError for a grid over a space that has none."""
    if name == "grid":
        space.require_grid()
    return SeededTPE() if name == "tpe" else PointSampler(space)


def limit_of(name: SamplerName, space: SearchSpace) -> int | None:
    """After how many trials a search has tried everything; None where it never has, as tpe, which may repeat."""
    size = space.size
    return None if name == "tpe" or size is None or size > LARGEST_GRID else size
