"""A value from a file becomes the value of an option: `"none"` None, `8.0` 8, a list a tuple; or is refused.

Strict where a guess would hide a mistake: `true` is no number, and the text `"true"` no truth value.
"""

import dataclasses
import typing
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError, nearest
from darts_train.experiments.settings import GROUPS, accepted_types, field_types

AUGMENT = "augment"  # a truth value, or the list of `augmentations`, as in a configuration file
FIXED = frozenset({"train_data_dir"})  # no search goes over train data directories: their scores do not compare


def field_name(name: str, where: str) -> str:
    """The field that a key of a search means, hyphens or not; UserError with the nearest where there is none."""
    field = name.replace("-", "_")
    known = [known for known in field_types() if known not in FIXED]
    if field not in known:
        raise UserError(f"{where}: {name!r} is not a setting that can be searched{nearest(field, known)}.")
    return field


def field_value(name: str, value: Any) -> Any:
    """`value` as field `name` takes it, its limits checked. Raises UserError saying what is expected."""
    group, annotation = field_types()[name]
    if name == AUGMENT and isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return tuple(value) or False
    for kind in sorted(accepted_types(annotation), key=_strictness):
        accepted, result = _convert(value, kind)
        if accepted:
            _check_limits(group, name, result)
            return result
    raise UserError(f"{value!r} is not {describe(name)}.")


def takes_numbers(name: str) -> bool:
    """Whether a range of numbers makes sense for a field."""
    return any(kind in (int, float) for kind in accepted_types(field_types()[name][1]))


def takes_fractions(name: str) -> bool:
    """Whether a field takes any number, and not only whole ones."""
    return float in accepted_types(field_types()[name][1])


def takes_lists(name: str) -> bool:
    """Whether a value of a field can be a list."""
    types = accepted_types(field_types()[name][1])
    return name == AUGMENT or any(typing.get_origin(kind) is tuple for kind in types)


def describe(name: str) -> str:
    """What a field takes, in words: `a number or none`."""
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", type(None): "none"}
    parts = []
    for kind in accepted_types(field_types()[name][1]):
        if typing.get_origin(kind) is typing.Literal:
            parts.append("one of " + ", ".join(map(str, typing.get_args(kind))))
        else:
            parts.append("a list" if typing.get_origin(kind) is tuple else words.get(kind, "text"))
    return " or ".join(parts + ["a list of augmentations"] * (name == AUGMENT))


def _strictness(kind: Any) -> int:
    """Text comes last: whatever else a text may mean, it means."""
    return 1 if kind is str else 0


def _convert(value: Any, kind: Any) -> tuple[bool, Any]:
    """(whether `value` is a `kind`, the value as such)."""
    if kind is type(None):
        return value is None or (isinstance(value, str) and value.lower() == "none"), None
    if kind is bool:
        return isinstance(value, bool), value
    if kind in (int, float):
        return _number(value, kind)
    if typing.get_origin(kind) is typing.Literal:
        return value in typing.get_args(kind), value
    if typing.get_origin(kind) is tuple:
        fits = isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(item, str) for item in value)
        return fits, tuple(value) if fits else value
    if kind is Path:
        return isinstance(value, str | Path), Path(value) if isinstance(value, str) else value
    return kind is str and isinstance(value, str) and value != "", value


def _number(value: Any, kind: type[int] | type[float]) -> tuple[bool, Any]:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return False, value
    try:  # a text too: YAML 1.1 takes 1e-3 for one
        number = float(value)
    except (ValueError, OverflowError):
        return False, value
    if kind is int:
        return number.is_integer(), int(number) if number.is_integer() else value
    return True, number


def _check_limits(group: str, name: str, value: Any) -> None:
    """Make the option group once with this value: it refuses what is beyond its limits."""
    kind = GROUPS[group]
    required = {
        field.name: Path()
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.name != name
    }
    kind(**required, **{name: value})
