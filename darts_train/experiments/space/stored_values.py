"""What Optuna stores of a parameter, so that it can learn from it, and how that becomes a value again.

A choice is stored by its label (text, number or truth value; JSON for a list), a multiple by its number, a reversed
logarithmic range by its distance from n, and a normal or beta distribution by the share of it below the value.
"""

import json
from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from darts_train.experiments.settings import plain
from darts_train.experiments.space.densities import Density
from darts_train.experiments.space.field_values import field_value
from darts_train.experiments.space.parameters import (
    Choice,
    Constant,
    IntUniform,
    LogUniform,
    Parameter,
    QLogUniform,
    QUniform,
    Range,
    ReversedLogUniform,
)
from darts_train.experiments.space.search_space import SearchSpace


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
            return IntDistribution(parameter.first, parameter.last, log=isinstance(parameter, QLogUniform))
        case ReversedLogUniform():
            return FloatDistribution(parameter.distance.low, parameter.distance.high, log=True)
        case Density():
            return FloatDistribution(0.0, 1.0)
        case Range():
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
        case Density():
            return parameter.share(value)
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
        case Density():
            return parameter.at(stored)
        case _:
            return stored


def values_of(space: SearchSpace, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all parameters that are there, as the settings take them, from what Optuna stored of a trial."""
    found: dict[str, Any] = {}
    for name in space.order:
        if space.lives(name, found):
            found[name] = field_value(name, from_stored(space.parameters[name], stored.get(name)))
    return {name: found[name] for name in space.parameters if name in found}
