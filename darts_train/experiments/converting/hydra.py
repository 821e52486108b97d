"""A Hydra tree made one: the defaults lists, the choices of groups, `a.b=c` and `${a.b}`. Hydra itself is not needed.

What of Hydra is not done here: searches (multirun), packages other than the group's own or `_global_`, and resolvers
other than `oc.env`; each is a UserError with the place.
"""

import copy
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError, listing, nearest
from darts_train.experiments.converting.changes import SET, parsed, set_value
from darts_train.experiments.space.file import read_mapping

FILE = "FILE"
SELF, SUFFIX = "_self_", ".yaml"
OF_HYDRA, GLOBAL = "hydra", "_global_"
DEEPEST = 16
_REFERENCE = re.compile(r"\$\{([^${}]+)\}")
Tree = dict[str, Any]


@dataclass
class _Top:
    """The root of a tree, what the command line chooses of groups, and which groups were found."""

    root: Path
    choices: dict[str, str]
    used: set[str] = field(default_factory=set)


def is_hydra(tree: Mapping[str, Any]) -> bool:
    """Whether a file is the top of a Hydra tree."""
    return isinstance(tree.get("defaults"), list)


def compose(file: Path, tree: Tree, changes: Sequence[str]) -> Tree:
    """The configuration of a top file with its groups, changes made and references resolved.

    Raises UserError for a group or a choice that is not there, a changed key that is not there (`+a.b=c` adds it), and
    a reference that leads nowhere.
    """
    choices, values = _changes(file.parent, changes)
    top = _Top(file.parent, choices)
    whole = _merged(tree, _Place(file), top)
    for group in set(choices) - top.used:
        raise UserError(f"{SET}: {group}: {file} has no group of that name{nearest(group, top.used, 1)}.")
    for key, value in values:
        _change(whole, key, value)
    found = _resolved(whole, whole, "", 0)
    assert isinstance(found, dict)
    return found


def _changes(root: Path, changes: Sequence[str]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Choices of groups (a directory of that name is there), and other changes."""
    choices, values = {}, []
    for change in changes:
        key, _, value = (part.strip() for part in change.partition("="))
        if (root / key.lstrip("+")).is_dir() and "." not in key:
            choices[key.lstrip("+")] = value
        else:
            values.append((key, value))
    return choices, values


@dataclass(frozen=True)
class _Place:
    """A file of the tree: its group, the package that its keys belong below, and how deep its defaults are nested."""

    file: Path
    group: str = ""
    package: str = ""
    depth: int = 0


def _merged(tree: Tree, place: _Place, top: _Top) -> Tree:
    """A file below its package, with what its defaults list names: itself where `_self_` is, else last."""
    if place.depth > DEEPEST:
        raise UserError(f"{FILE}: {place.file}: its defaults lead around in a circle.")
    entries = tree.get("defaults", [])
    if not isinstance(entries, list):
        raise UserError(f"{FILE}: {place.file}: defaults must be a list.")
    own = _below(place.package, {key: value for key, value in tree.items() if key != "defaults"})
    found: Tree = {}
    for entry in entries if SELF in entries else [*entries, SELF]:
        _merge(found, own if entry == SELF else _part(entry, place, top))
    return found


def _below(package: str, tree: Tree) -> Tree:
    for part in reversed([part for part in re.split(r"[./]", package) if part]):
        tree = {part: tree}
    return tree


def _part(entry: Any, place: _Place, top: _Top) -> Tree:
    """What one entry of a defaults list stands for."""
    if isinstance(entry, str):
        return _option(place.group, entry, place.package, place, top)
    if not isinstance(entry, dict) or len(entry) != 1:
        raise UserError(f"{FILE}: {place.file}: defaults: {entry!r:.60} is neither a name nor group: choice.")
    ((key, choice),) = entry.items()
    words = str(key).split()
    name, _, package = words[-1].partition("@")
    group = name.lstrip("/") if name.startswith("/") or not place.group else f"{place.group}/{name}"
    if "override" in words or group.split("/")[0] == OF_HYDRA:
        return {}
    top.used.add(group)
    choice = top.choices.get(group, choice)
    if choice is None or ("optional" in words and not (top.root / group / f"{choice}{SUFFIX}").is_file()):
        return {}
    return _option(group, str(choice), package or group, place, top)


def _option(group: str, choice: str, package: str, place: _Place, top: _Top) -> Tree:
    path = top.root / group / f"{choice.removesuffix(SUFFIX)}{SUFFIX}"
    if not path.is_file():
        there = listing(sorted(one.stem for one in (top.root / group).glob(f"*{SUFFIX}"))) or "none"
        raise UserError(f"{FILE}: {place.file}: {group or 'defaults'}: there is no {choice}; there are {there}.")
    tree = read_mapping(path, FILE)
    everywhere = package == GLOBAL or re.match(rf"\s*#\s*@package\s+{GLOBAL}", path.read_text(encoding="utf-8"))
    return _merged(tree, _Place(path, group, "" if everywhere else package, place.depth + 1), top)


def _merge(into: Tree, other: Tree) -> None:
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = copy.deepcopy(value)


def _change(tree: Tree, key: str, value: str) -> None:
    name = key.lstrip("+~").strip()
    at: Any = tree
    for part in name.split("."):
        if not key.startswith("+") and (not isinstance(at, dict) or part not in at):
            close = nearest(part, at, 1) if isinstance(at, dict) else ""
            raise UserError(f"{SET}: there is no {name}{close}; +{name}={value} adds it.")
        at = at.get(part) if isinstance(at, dict) else None
    set_value(tree, name, parsed(value))


def _resolved(value: Any, whole: Tree, where: str, depth: int) -> Any:
    if depth > DEEPEST:
        raise UserError(f"{FILE}: {where}: its references lead around in a circle.")
    if isinstance(value, dict):
        return {key: _resolved(item, whole, f"{where}.{key}".lstrip("."), depth) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, whole, where, depth) for item in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    alone = _REFERENCE.fullmatch(value)
    if alone:
        return _resolved(_looked_up(alone[1], whole, where), whole, where, depth + 1)
    filled = _REFERENCE.sub(lambda found: str(_looked_up(found[1], whole, where)), value)
    return filled if filled == value else _resolved(filled, whole, where, depth + 1)


def _looked_up(name: str, whole: Tree, where: str) -> Any:
    """What `${name}` stands for. `${hydra:…}` and other resolvers stay as they are, and are listed as any value is."""
    if name.startswith("oc.env:"):
        variable, _, default = name.removeprefix("oc.env:").partition(",")
        return os.environ.get(variable.strip(), default)
    if ":" in name:
        return f"$({name})"
    at: Any = whole
    for part in name.strip().split("."):
        if not isinstance(at, dict) or part not in at:
            raise UserError(f"{FILE}: {where}: ${{{name}}} leads nowhere.")
        at = at[part]
    return at
