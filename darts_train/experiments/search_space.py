"""What a search varies: names of settings and their distributions, whichever file they came from.

One internal form. It is made by `hyperparameter_space.py` (the `hyperparameters` table of YAML or TOML) or by
`wandb_space.py` (a wandb sweep file), stored with the study as plain values, and read back by every runner.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from darts_train.base.errors import UserError
from darts_train.experiments.field_values import describe, field_value, takes_fractions, takes_lists, takes_numbers
from darts_train.experiments.parameters import (
    Choice,
    Constant,
    IntUniform,
    Parameter,
    QUniform,
    Range,
    parameter_from_json,
    parameter_to_json,
)

LARGEST_GRID = 100_000
RangeT = TypeVar("RangeT", bound=Range)


@dataclass(frozen=True)
class SearchSpace:
    """Settings by name, in the order of the file, each with its distribution."""

    parameters: Mapping[str, Parameter]

    @property
    def size(self) -> int | None:
        """Number of different points; None where there is a range."""
        if any(isinstance(parameter, Range) for parameter in self.parameters.values()):
            return None
        return math.prod(len(values) for values in self.choices().values())

    def choices(self) -> dict[str, tuple[Any, ...]]:
        """The values of every constant and choice; ranges are left out."""
        found = {}
        for name, parameter in self.parameters.items():
            if isinstance(parameter, Constant):
                found[name] = (parameter.value,)
            elif isinstance(parameter, Choice):
                found[name] = parameter.values
        return found

    def require_grid(self) -> None:
        """Raise UserError, naming the parameter, where the combinations cannot be counted, or are too many."""
        for name, parameter in self.parameters.items():
            if isinstance(parameter, Range):
                raise UserError(f"a grid needs lists and constants, but {name} is a range; list its values.")
        if (self.size or 0) > LARGEST_GRID:
            raise UserError(f"a grid of {self.size} combinations is too large (at most {LARGEST_GRID}).")

    def to_json(self) -> list[Any]:
        """Plain values: pairs of name and parameter, in order."""
        return [[name, parameter_to_json(parameter)] for name, parameter in self.parameters.items()]

    @classmethod
    def from_json(cls, pairs: list[Any]) -> "SearchSpace":
        """The space that `to_json` gave."""
        return cls({name: parameter_from_json(values) for name, values in pairs})


def checked(name: str, parameter: Parameter) -> Parameter:
    """The parameter with its values as field `name` takes them: `"none"` None, 8.0 8, lists as tuples.

    Raises UserError where a value, or an end of a range, is nothing that the field takes.
    """
    if isinstance(parameter, Constant):
        return Constant(field_value(name, parameter.value))
    if isinstance(parameter, Choice):
        if takes_lists(name) and any(isinstance(value, str) and value.lower() != "none" for value in parameter.values):
            raise UserError('each choice must be a list; for one constant list write {"value": [...]}.')
        return Choice(tuple(field_value(name, value) for value in parameter.values))
    return _checked_range(name, parameter)


def _checked_range(name: str, parameter: RangeT) -> RangeT:
    if not takes_numbers(name):
        raise UserError(f"a range of numbers is not {describe(name)}; list the values.")
    whole = parameter.whole or (isinstance(parameter, QUniform) and float(parameter.q).is_integer())
    if not takes_fractions(name) and not whole:
        raise UserError(f"a range with fractions is not {describe(name)}; use a range of whole numbers.")
    ends = {"low": field_value(name, parameter.low), "high": field_value(name, parameter.high)}
    if isinstance(parameter, IntUniform):
        ends = {end: int(value) for end, value in ends.items()}
    return dataclasses.replace(parameter, **ends)
