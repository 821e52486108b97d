"""A mapping from a YAML, JSON or TOML file that a user wrote.

YAML as people expect it: `1e-3` is a number (YAML 1.1, which PyYAML speaks, wants `1.0e-3`), and a key that
comes twice is a mistake, not a choice of the last.
"""

import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from darts_train.base.errors import UserError
from darts_train.base.files import require_file
from darts_train.experiments.space.key_lines import key_lines


@dataclass(frozen=True)
class Source:
    """A file in messages about it. `text` is empty for content that is from no file."""

    name: str
    text: str = ""
    suffix: str = ""

    def place(self, *keys: str) -> str:
        """`space.toml:12`, the line of a key or of what it is in; without the line where it is not known."""
        lines = key_lines(self.text, self.suffix)
        found = [lines[keys[:length]] for length in range(len(keys), 0, -1) if keys[:length] in lines]
        return f"{self.name}:{found[0]}" if found else self.name

    def at(self, *keys: str) -> str:
        """`space.toml:12: hyperparameters.gamma`."""
        return f"{self.place(*keys)}: {'.'.join(keys)}"


def as_source(source: "Source | str") -> Source:
    """A source from its name alone."""
    return Source(source) if isinstance(source, str) else source


def read_mapping(path: Path, option: str) -> dict[str, Any]:
    """Read a file whose top level is a mapping; its suffix says what it is, YAML where it says nothing.

    Raises UserError naming the option and, where it can, the line.
    """
    return read_source(path, option)[0]


def read_source(path: Path, option: str) -> tuple[dict[str, Any], Source]:
    """As `read_mapping`, and with it what says where a key is."""
    require_file(path, option)
    try:
        text = path.read_text(encoding="utf-8")
        content = _parse(text, path.suffix.lower())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{option}: {path} cannot be read: {error}") from None
    except (yaml.YAMLError, json.JSONDecodeError, tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"{option}: {path}: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise UserError(f"{option}: {path}: a mapping of keys to values was expected, not {_kind(content)}.")
    return content, Source(str(path), text, path.suffix.lower())


def yaml_value(text: str) -> Any:
    """A value as YAML files have it here. Raises YAMLError, ValueError or RecursionError for what is none."""
    return yaml.load(text, Loader=_Loader)


def _parse(text: str, suffix: str) -> Any:
    if suffix == ".toml":
        return tomllib.loads(text)
    if suffix == ".json":
        return json.loads(text, object_pairs_hook=_unique)
    return yaml_value(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"the key {key!r} comes twice")
    return dict(pairs)


class _Loader(yaml.SafeLoader):
    """SafeLoader with numbers as in YAML 1.2 and keys that are unique text."""


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    seen = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is not text", key_node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} comes twice", key_node.start_mark)
        seen.add(key)
    return {str(key): value for key, value in loader.construct_mapping(node, deep=True).items()}


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+"),
    list("-+0123456789."),
)


def _kind(value: Any) -> str:
    if value is None:
        return "an empty file"
    return "a list" if isinstance(value, list) else f"{value!r:.40}"
