"""`a.b=value` of the command line, put into a configuration."""

from typing import Any

import yaml

from darts_train.base.errors import UserError, nearest
from darts_train.experiments.space.file import yaml_value

SET = "--set"


def parsed(text: str) -> Any:
    """The value of a change, as YAML would read it. Raises UserError where it is none."""
    try:
        return yaml_value(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UserError(f"{SET}: {text!r} cannot be read as a value.") from None


def set_value(tree: Any, key: str, value: Any) -> None:
    """Change one value of a tree in place; a list takes numbers (`trainer.callbacks.0.init_args.patience`).

    Mappings on the way are made where they are not there. Raises UserError where the way leads through a value.
    """
    *way, last = key.split(".")
    at = tree
    for number, part in enumerate(way):
        at = _step(at, part, ".".join(way[: number + 1]), key)
    if isinstance(at, list):
        at[_place(at, last, key)] = value
    elif isinstance(at, dict):
        at[last] = value
    else:
        raise UserError(f"{SET}: {key}: {'.'.join(way)} is a value, {at!r:.40}, and has nothing below it.")


def _step(at: Any, part: str, here: str, key: str) -> Any:
    if isinstance(at, list):
        return at[_place(at, part, key)]
    if not isinstance(at, dict):
        raise UserError(f"{SET}: {key}: nothing is below {here}.")
    if at.get(part) is None:
        close = nearest(part, at, 1)
        if close:
            raise UserError(f"{SET}: {key}: there is no {here}{close}.")
        at[part] = {}
    return at[part]


def _place(items: list[Any], text: str, key: str) -> int:
    if text.isdigit() and int(text) < len(items):
        return int(text)
    raise UserError(f"{SET}: {key}: {text!r} is no place in a list of {len(items)}; they count from 0.")
