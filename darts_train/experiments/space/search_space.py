"""What a search varies: names of settings and their distributions, whichever file they came from.

One internal form. It is made by `hyperparameters.py` (the `hyperparameters` table of YAML or TOML) or by
`wandb.py` (a wandb sweep file), stored with the study as plain values, and read back by every runner.

A parameter may depend on others: it is there only where these have certain values. Where it is not, the setting is
that of the command line.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar

from darts_train.base.errors import UserError
from darts_train.experiments.space.densities import Density
from darts_train.experiments.space.field_values import (
    describe,
    field_value,
    limits,
    require_effect,
    takes_fractions,
    takes_lists,
    takes_numbers,
)
from darts_train.experiments.space.parameters import (
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
WHEN = "when"
CONTINUOUS = (Range, Density)
RangeT = TypeVar("RangeT", bound=Range)
DensityT = TypeVar("DensityT", bound=Density)
Condition = Mapping[str, tuple[Any, ...]]  # names of others, and the values of theirs that are asked for


@dataclass(frozen=True)
class SearchSpace:
    """Settings by name, in the order of the file, each with its distribution.

    `when`: on what a parameter depends, for those that depend on others. `places`: where each is in its file.
    """

    parameters: Mapping[str, Parameter]
    when: Mapping[str, Condition] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The names, what a parameter depends on before it, else as in the file.

        Raises UserError where parameters depend on one another in a circle.
        """
        done: dict[str, None] = {}
        while waiting := [name for name in self.parameters if name not in done]:
            ready = [name for name in waiting if all(parent in done for parent in self.when.get(name, ()))]
            if not ready:
                raise UserError(f"{', '.join(waiting)}: each depends on another one of them.")
            done[ready[0]] = None
        return tuple(done)

    def lives(self, name: str, values: Mapping[str, Any]) -> bool:
        """Whether a parameter is there, where those that it depends on have these values."""
        return all(parent in values and values[parent] in some for parent, some in self.when.get(name, {}).items())

    def living(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """`values` without those of parameters that are not there, in the order of the file."""
        found: dict[str, Any] = {}
        for name in self.order:
            if name in values and self.lives(name, found):
                found[name] = values[name]
        return {name: found[name] for name in self.parameters if name in found}

    @cached_property
    def size(self) -> int | None:
        """Number of different points (with conditions counted to LARGEST_GRID + 1); None where there is a range."""
        if any(isinstance(parameter, CONTINUOUS) for parameter in self.parameters.values()):
            return None
        if not self.when:
            return math.prod(len(values) for values in self.choices().values())
        return sum(1 for _ in islice(self._combinations(self.order, {}), LARGEST_GRID + 1))

    @cached_property
    def combinations(self) -> tuple[dict[str, Any], ...]:
        """All points of a finite space, the last parameter varying fastest. At most LARGEST_GRID + 1 are made."""
        return tuple(islice(self._combinations(self.order, {}), LARGEST_GRID + 1))

    def _combinations(self, names: tuple[str, ...], above: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if not names:
            yield {name: above[name] for name in self.parameters if name in above}
        elif not self.lives(names[0], above):
            yield from self._combinations(names[1:], above)
        else:
            for value in self.choices()[names[0]]:
                yield from self._combinations(names[1:], {**above, names[0]: value})

    @property
    def weighted(self) -> bool:
        """Whether some values are likelier than others."""
        return any(isinstance(one, Choice) and one.probabilities is not None for one in self.parameters.values())

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
            if isinstance(parameter, CONTINUOUS):
                place = f"{self.places[name]}: " if name in self.places else ""
                raise UserError(f"{place}a grid needs lists and constants, but {name} is a range; list its values.")
        if (self.size or 0) > LARGEST_GRID:
            raise UserError(f"a grid of more than {LARGEST_GRID} combinations is too large.")

    def to_json(self) -> list[Any]:
        """Plain values: pairs of name and parameter, in order."""
        return [[name, self._json(name)] for name in self.parameters]

    def _json(self, name: str) -> dict[str, Any]:
        condition = {parent: list(some) for parent, some in self.when.get(name, {}).items()}
        return parameter_to_json(self.parameters[name]) | ({WHEN: condition} if condition else {})

    @classmethod
    def from_json(cls, pairs: list[Any]) -> "SearchSpace":
        """The space that `to_json` gave."""
        plain = {name: {key: value for key, value in values.items() if key != WHEN} for name, values in pairs}
        when = {
            name: {parent: tuple(field_value(parent, value) for value in some) for parent, some in values[WHEN].items()}
            for name, values in pairs
            if WHEN in values
        }
        return cls({name: parameter_from_json(values) for name, values in plain.items()}, when)


def checked(name: str, parameter: Parameter) -> Parameter:
    """The parameter with its values as field `name` takes them: `"none"` None, 8.0 8, lists as tuples.

    Raises UserError where a value, or an end of a range, is nothing that the field takes.
    """
    if isinstance(parameter, Constant):
        return Constant(field_value(name, parameter.value))
    require_effect(name)
    if isinstance(parameter, Choice):
        if takes_lists(name) and any(isinstance(value, str) and value.lower() != "none" for value in parameter.values):
            raise UserError('each choice must be a list; for one constant list write {"value": [...]}.')
        values = tuple(field_value(name, value) for value in parameter.values)
        return dataclasses.replace(parameter, values=values)
    if isinstance(parameter, Density):
        return _checked_density(name, parameter)
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


def _checked_density(name: str, parameter: DensityT) -> DensityT:
    if not takes_numbers(name):
        raise UserError(f"a distribution of numbers is not {describe(name)}; list the values.")
    if not takes_fractions(name) and not (parameter.q and float(parameter.q).is_integer()):
        raise UserError(f"a distribution with fractions is not {describe(name)}; give it a whole q.")
    low, high = limits(name)
    return dataclasses.replace(parameter, low=low, high=high)
