"""A table of parameters, of either file form, becomes a space: names, nesting, conditions, and messages with lines.

parameters:
  decoder_channels: ...             # an option
  model_options:                    # single options of a list of name=value
    encoder_depth: ...
  focal_loss_gamma:
    when: {loss: [focal]}           # there only where loss is focal
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from darts_train.base.errors import UserError, listing, nearest
from darts_train.experiments.settings import OPTION_LISTS
from darts_train.experiments.space.field_values import field_name, field_value
from darts_train.experiments.space.file import Source
from darts_train.experiments.space.parameters import Choice, Constant, Parameter
from darts_train.experiments.space.search_space import WHEN, Condition, SearchSpace, checked

Nested = Callable[[tuple[str, ...], Any], tuple[tuple[str, ...], Mapping[str, Any]] | None]


@dataclass(frozen=True)
class Entry:
    """One parameter as its file has it."""

    path: tuple[str, ...]  # keys from the top of the file
    names: tuple[str, ...]  # those of them that name something
    spec: Any


def read_space(
    table: Mapping[str, Any], top: str, source: Source, nested: Nested, parameter: Callable[[str, Any], Parameter]
) -> SearchSpace:
    """The space of the table under the key `top`.

    `nested` gives, for an entry that is a table of further ones, the keys to it and that table, else None; `parameter`
    makes a parameter of a name and what the file says of it. Raises UserError naming file, line and key.
    """
    parameters: dict[str, Parameter] = {}
    conditions: dict[str, tuple[Entry, Any]] = {}
    places: dict[str, str] = {}
    for entry in _entries(table, (top,), (), nested):
        name = _setting(entry, source)
        if name in parameters:
            where = f"{source.place(*entry.path)}: {'.'.join(entry.path[:-1])}"
            raise UserError(f"{where}: {name} comes twice, here and as {places[name].partition(': ')[2]}.")
        places[name] = source.at(*entry.path)
        spec, when = _split(entry.spec)
        try:
            parameters[name] = checked(name, parameter(name, spec))
        except UserError as error:
            raise UserError(f"{places[name]}: {error}") from None
        if when is not None:
            conditions[name] = (entry, when)
    found = {name: _condition(entry, when, parameters, source) for name, (entry, when) in conditions.items()}
    space = SearchSpace(parameters, found, places)
    try:
        _ = space.order
    except UserError as error:
        raise UserError(f"{places[next(iter(found))]}: {WHEN}: {error}") from None
    return space


def _entries(
    table: Mapping[str, Any], path: tuple[str, ...], names: tuple[str, ...], nested: Nested
) -> Iterator[Entry]:
    for key, spec in table.items():
        named = (*names, str(key))
        inner = nested(named, spec)
        if inner is None or not inner[1]:
            yield Entry((*path, str(key)), named, spec)
        else:
            yield from _entries(inner[1], (*path, str(key), *inner[0]), named, nested)


def _setting(entry: Entry, source: Source) -> str:
    """The setting that nested names mean: the last, or from the list of options on."""
    parts = ".".join(entry.names).replace("-", "_").split(".")
    where = f"{source.place(*entry.path)}: {'.'.join(entry.path[:-1])}"
    for position, part in enumerate(parts):
        if part in OPTION_LISTS:
            return field_name(".".join(parts[position:]), where)
    return field_name(entry.names[-1], where)


def _split(spec: Any) -> tuple[Any, Any]:
    """What a file says of a parameter, and its condition."""
    if not isinstance(spec, Mapping) or WHEN not in spec:
        return spec, None
    return {key: value for key, value in spec.items() if key != WHEN}, spec[WHEN]


def _condition(entry: Entry, when: Any, parameters: Mapping[str, Parameter], source: Source) -> Condition:
    where = source.at(*entry.path, WHEN)
    if not isinstance(when, Mapping) or not when:
        raise UserError(f"{where}: a table of other parameters and their values was expected, not {when!r:.40}.")
    return dict(_parent(str(key), some, parameters, where) for key, some in when.items())


def _parent(key: str, some: Any, parameters: Mapping[str, Parameter], where: str) -> tuple[str, tuple[Any, ...]]:
    name = key.replace("-", "_")
    if name not in parameters:
        raise UserError(f"{where}: there is no parameter {key!r} in this file{nearest(name, parameters)}.")
    parent = parameters[name]
    if not isinstance(parent, Choice | Constant):
        raise UserError(f"{where}: {name} is a range; a parameter can depend on a list of values.")
    taken = parent.values if isinstance(parent, Choice) else (parent.value,)
    try:
        values = tuple(field_value(name, value) for value in (some if isinstance(some, list) else [some]))
    except UserError as error:
        raise UserError(f"{where}: {name}: {error}") from None
    if not values:
        raise UserError(f"{where}: {name}: the list of values is empty.")
    for value in values:
        if value not in taken:
            raise UserError(f"{where}: {name} is never {value!r}; it is one of {listing(list(map(str, taken)), 6)}.")
    return name, values
