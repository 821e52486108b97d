"""A Hydra tree made one: the defaults lists, the choices of groups, `a.b=c` and `${a.b}`. Hydra itself is not needed.

What of Hydra is not done here: searches (multirun), packages other than the group's own or `_global_`, and resolvers
other than `oc.env`; each is a UserError with the place.
"""

import copy
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError, listing, nearest
from darts_train.experiments.converting.changes import SET, parsed, set_value
from darts_train.experiments.space.file import read_mapping

FILE = "FILE"
SELF, SUFFIX = "_self_", ".yaml"
OF_HYDRA = ("hydra", "hydra/")
DEEPEST = 16
_REFERENCE = re.compile(r"\$\{([^${}]+)\}")
Tree = dict[str, Any]


def is_hydra(tree: Mapping[str, Any]) -> bool:
    """Whether a file is the top of a Hydra tree."""
    return isinstance(tree.get("defaults"), list)


def compose(file: Path, tree: Tree, changes: Sequence[str]) -> Tree:
    """The configuration of a top file with its groups, changes made and references resolved.

    Raises UserError for a group or a choice that is not there, a changed key that is not there (`+a.b=c` adds it), and
    a reference that leads nowhere.
    """
    choices, values = _changes(file.parent, changes)
    used: set[str] = set()
    whole = _merged(file.parent, tree, file, choices, used, "", 0)
    for group in set(choices) - used:
        raise UserError(f"{SET}: {group}: {file} has no group of that name{nearest(group, used, 1)}.")
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


def _merged(
    root: Path, tree: Tree, file: Path, choices: dict[str, str], used: set[str], group: str, depth: int
) -> Tree:
    """A file with what its defaults list names, in that order; the file itself where `_self_` stands, else last."""
    if depth > DEEPEST:
        raise UserError(f"{FILE}: {file}: its defaults lead around in a circle.")
    own = {key: value for key, value in tree.items() if key != "defaults"}
    found: Tree = {}
    entries = tree.get("defaults", [])
    if not isinstance(entries, list):
        raise UserError(f"{FILE}: {file}: defaults must be a list.")
    for entry in entries if SELF in entries else [*entries, SELF]:
        part = own if entry == SELF else _part(root, entry, file, choices, used, group, depth)
        _merge(found, part)
    return found


def _part(root: Path, entry: Any, file: Path, choices: dict[str, str], used: set[str], group: str, depth: int) -> Tree:
    """What one entry of a defaults list stands for, below its package."""
    if isinstance(entry, str):
        return _option(root, group, entry, file, choices, used, depth, package=group)
    if not isinstance(entry, dict) or len(entry) != 1:
        raise UserError(f"{FILE}: {file}: defaults: {entry!r:.60} is neither a name nor group: choice.")
    ((key, choice),) = entry.items()
    words = str(key).split()
    optional, name = "optional" in words, words[-1].lstrip("/")
    if "override" in words or name.startswith(OF_HYDRA[0]):
        return {}
    name, _, package = name.partition("@")
    used.add(name)
    choice = choices.get(name, choice)
    if choice is None or (optional and not (root / name / f"{choice}{SUFFIX}").is_file()):
        return {}
    return _option(root, name, str(choice), file, choices, used, depth, package=package or name)


def _option(
    root: Path, group: str, choice: str, file: Path, choices: dict[str, str], used: set[str], depth: int, package: str
) -> Tree:
    path = root / group / f"{choice.removesuffix(SUFFIX)}{SUFFIX}"
    if not path.is_file():
        there = sorted(one.stem for one in (root / group).glob(f"*{SUFFIX}"))
        raise UserError(f"{FILE}: {file}: {group or 'defaults'}: there is no {choice}; there are {listing(there)}.")
    tree = _merged(root, read_mapping(path, FILE), path, choices, used, group, depth + 1)
    if re.match(r"\s*#\s*@package\s+_global_", path.read_text(encoding="utf-8")) or package == "_global_":
        return tree
    for part in reversed([part for part in re.split(r"[./]", package) if part]):
        tree = {part: tree}
    return tree


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
            raise UserError(f"{SET}: there is no {name}{nearest(part, at or (), 1)}; +{name}={value} adds it.")
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
