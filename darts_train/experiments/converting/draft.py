"""What becomes of every key of another tool's configuration: an option of ours, or a line that says why not.

A `Draft` holds the source's leaves until each is used up. What nothing asked for is left at the end, and listed: no key
is dropped in silence.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from darts_train.base.errors import UserError

TRANSFORM = "__class_fullname__"
OBJECTS = ("logger", "callbacks", "plugins")  # lists of objects; one alone may stand without a list
UNKNOWN = "nothing here goes by that name"
Tree = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """An option as it will be written: below which heading, its value (None: the text none), and what is to say."""

    heading: str
    name: str
    value: Any
    note: str = ""


@dataclass(frozen=True)
class Fate:
    """A key of the source that becomes no option, with its value and the reason."""

    key: str
    value: Any
    why: str


@dataclass
class Draft:
    """A configuration on its way.

    Attributes:
        rest: leaves of the source by dotted key, those that nothing has used up yet.
        entries: options, in the order in which they will be written.
        same: keys that say what is always so here.
        left: keys without a counterpart, with what to do instead.
        files: texts of files that belong beside the configuration, by the end of their name.
        taken: keys that `take` has used up, with their values.
    """

    rest: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)
    same: list[Fate] = field(default_factory=list)
    left: list[Fate] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    taken: dict[str, Any] = field(default_factory=dict)

    def has(self, key: str) -> bool:
        """Whether a key is there, not used up and not null."""
        return self.rest.get(key) is not None

    def take(self, key: str, default: Any = None) -> Any:
        """Use a key up. A null says nothing, and gives the default."""
        if key in self.rest:
            self.taken[key] = self.rest[key]
        value = self.rest.pop(key, None)
        return default if value is None else value

    def put(self, heading: str, name: str, value: Any, note: str = "") -> None:
        """Write an option; one that is there already keeps its place and gets the new value."""
        entry = Entry(heading, name, value, note)
        for place, other in enumerate(self.entries):
            if other.name == name:
                self.entries[place] = entry
                return
        self.entries.append(entry)

    def move(self, key: str, heading: str, name: str, read: Callable[[str, Any], Any] | None = None) -> bool:
        """Write a key's value as an option, as `read` of key and value gives it; says whether it was there."""
        if not self.has(key):
            return False
        value = self.take(key)
        self.put(heading, name, read(key, value) if read else value, key)
        return True

    def value_of(self, name: str) -> Any:
        """The value of an option that was put, else None."""
        return next((entry.value for entry in self.entries if entry.name == name), None)

    def agree(self, key: str, expected: tuple[Any, ...], same: str, instead: str) -> None:
        """Use a key up that is so here too where its value is expected, and is listed where it is not."""
        if key in self.rest:
            value = self.rest.pop(key)
            self._note(key, value, value is None or value in expected, same, instead)

    def _note(self, key: str, value: Any, agrees: bool, same: str, instead: str) -> None:
        (self.same if agrees else self.left).append(Fate(key, value, same if agrees else instead))

    def is_same(self, key: str, why: str) -> None:
        """Use a key up of which nothing needs to be said here."""
        if key in self.rest:
            self.same.append(Fate(key, self.rest.pop(key), why))

    def leave(self, key: str, why: str) -> None:
        """Use a key up that has no counterpart."""
        if key in self.rest:
            value = self.rest.pop(key)
            self._note(key, value, value is None, "null says nothing", why)

    def leave_below(self, prefix: str, why: str) -> None:
        """`leave` of all keys that begin with a prefix."""
        for key in [key for key in self.rest if key.startswith(prefix)]:
            self.leave(key, why)

    def finish(self) -> None:
        """List what nothing has asked for, and what went into options whose notes do not say so."""
        self.leave_below("", UNKNOWN)
        told = {fate.key for fate in (*self.same, *self.left)}
        notes = " ".join(entry.note for entry in self.entries)
        for key, value in self.taken.items():
            if key not in told and key not in notes:
                self.same.append(Fate(key, value, "went into the options above"))


def leaves(tree: Tree, above: str = "") -> dict[str, Any]:
    """The leaves of a configuration by dotted key.

    An object in a list goes by the last part of its class (`trainer.callbacks.EarlyStopping.init_args.patience`), a
    second of the same class with `#2`. A serialised pipeline of Albumentations, a list of plain values and an empty
    mapping are one leaf each.
    """
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{above}{key}"
        if key in OBJECTS and isinstance(value, Mapping) and "class_path" in value:
            value = [value]
        if _is_leaf(value):
            found[name] = value
        elif isinstance(value, Mapping):
            found |= leaves(value, f"{name}.")
        else:
            for title, item in _named(value):
                found |= leaves(item, f"{name}.{title}.")
    return found


def _is_leaf(value: Any) -> bool:
    if isinstance(value, Mapping):
        return not value or TRANSFORM in value or TRANSFORM in _mapping(value.get("transform"))
    if not isinstance(value, list) or not value:
        return True
    return not all(isinstance(item, Mapping) and {"class_path", "_target_"} & set(item) for item in value)


def _mapping(value: Any) -> Tree:
    return value if isinstance(value, Mapping) else {}


def _named(items: list[Tree]) -> list[tuple[str, Tree]]:
    counts: dict[str, int] = {}
    found = []
    for item in items:
        title = class_name(item.get("class_path", item.get("_target_")))
        counts[title] = counts.get(title, 0) + 1
        found.append((title if counts[title] == 1 else f"{title}#{counts[title]}", item))
    return found


def class_name(path: Any) -> str:
    """The last part of `package.module.Class`."""
    return str(path).rpartition(".")[2]


def number(key: str, value: Any) -> float:
    """A number, also one that YAML 1.1 took for text (`3e-4`). Raises UserError naming the key."""
    if not isinstance(value, bool):
        try:
            found = float(value)
        except (TypeError, ValueError):
            found = math.nan
        if math.isfinite(found):
            return found
    raise UserError(f"{key}: {value!r} is not a number.")


def whole(key: str, value: Any) -> int:
    """A whole number. Raises UserError naming the key."""
    found = number(key, value)
    if found != int(found):
        raise UserError(f"{key}: {value!r} is not a whole number.")
    return int(found)


def truth(key: str, value: Any) -> bool:
    """True or false, also as text. Raises UserError naming the key."""
    words = {"true": True, "false": False}
    if str(value).lower() not in words:
        raise UserError(f"{key}: {value!r} is neither true nor false.")
    return words[str(value).lower()]


def text(key: str, value: Any) -> str:
    """A text. Raises UserError naming the key."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise UserError(f"{key}: {value!r} is not a text.")
