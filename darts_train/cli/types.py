"""What a text, or a TOML value, becomes: one reading of an option's type for command line and file."""

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any, Literal, Union


@dataclasses.dataclass(frozen=True)
class OptionType:
    """The type of an option, taken from the hint of its field.

    Attributes:
        kinds: item types tried in order: bool, int, float, str, Path.
        choices: literal texts that are accepted too.
        many: the option is a tuple of items.
        optional: `none` is accepted and means None.
        commas: `a,b` is two items.
    """

    kinds: tuple[type, ...]
    choices: tuple[str, ...]
    many: bool
    optional: bool
    commas: bool

    @property
    def is_flag(self) -> bool:
        """Whether this is a plain `--x/--no-x` option."""
        return self.kinds == (bool,)

    @property
    def metavar(self) -> str:
        """What help shows in place of the value, such as `INTEGER|grid`."""
        names = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH", bool: "BOOLEAN"}
        parts = [names[kind] for kind in self.kinds] + list(self.choices)
        return "|".join(parts + ["none"] * self.optional)

    def parse(self, raw: Any) -> Any:
        """One value, or a list of values where `many`; raises ValueError with a short reason."""
        if not self.many:
            return self._item(raw)
        if isinstance(raw, str) and self.commas:
            return [self._item(part.strip()) for part in raw.split(",")]
        return [self._item(raw)]

    def parse_file_value(self, raw: Any) -> Any:
        """As `parse`, for a TOML value: an array is the list itself, a scalar a list of one."""
        if isinstance(raw, list):
            if not self.many:
                raise ValueError(f"a list is not {self.metavar}")
            return [self._item(item) for item in raw]
        if self.is_flag and not isinstance(raw, bool):
            raise ValueError(f"{raw!r} is not true or false")
        return self.parse(raw)

    def _item(self, raw: Any) -> Any:
        if raw is None or (self.optional and isinstance(raw, str) and raw.lower() == "none"):
            return None
        if isinstance(raw, str) and raw in self.choices:
            return raw
        for kind in self.kinds:
            value = _convert(raw, kind)
            if value is not None:
                return value
        raise ValueError(f"{str(raw)!r} is not {self.metavar}")


def option_type(hint: Any, commas: bool = True) -> OptionType:
    """Read the type of an option from the annotation of its field, such as `tuple[int, ...] | None`."""
    members = _members(hint)
    optional = types.NoneType in members
    members = [m for m in members if m is not types.NoneType]
    many = any(typing.get_origin(m) is tuple for m in members)
    if many:
        members = _members(typing.get_args(members[0])[0])
    choices = [str(c) for m in members if typing.get_origin(m) is Literal for c in typing.get_args(m)]
    kinds = tuple(m for m in members if isinstance(m, type))
    return OptionType(kinds, tuple(choices), many, optional, commas)


def _members(hint: Any) -> list[Any]:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is Union:
        return list(typing.get_args(hint))
    return [hint]


def _convert(raw: Any, kind: type) -> Any:
    """`raw` as `kind`, or None where it is not one. A bool is never a number."""
    if kind is bool:
        return raw if isinstance(raw, bool) else None
    if isinstance(raw, bool):
        return None
    if kind is str:
        return str(raw) if isinstance(raw, str | int | float) else None
    if kind is Path:
        return Path(raw).expanduser() if isinstance(raw, str | Path) and str(raw) else None
    if kind is int and isinstance(raw, float):
        return None
    try:
        return kind(raw)
    except (TypeError, ValueError):
        return None
