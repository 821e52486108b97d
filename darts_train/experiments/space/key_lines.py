"""In which line of a file a key is: for messages only, so where it cannot tell it says nothing.

YAML and JSON by the positions of YAML's nodes (JSON is YAML, but for tabs); TOML by a scanner that knows tables, keys
and what goes over several lines. Keys within an inline table of TOML have the line of the table.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice

import yaml

Keys = tuple[str, ...]
DEEPEST, MOST = 20, 10_000  # a YAML file may contain itself, and that many times
_PART = r"""(?:"[^"]*"|'[^']*'|[\w-]+)"""
_KEYS = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = re.compile(rf"\s*\[\[?\s*({_KEYS})\s*\]\]?")
_KEY = re.compile(rf"\s*({_KEYS})\s*=")


@cache
def key_lines(text: str, suffix: str) -> Mapping[Keys, int]:
    """The line, from 1, of every key by its path from the top of the file."""
    if suffix == ".toml":
        return dict(_toml(text))
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return dict(islice(_yaml(root, ()), MOST)) if root is not None else {}


def _yaml(node: yaml.Node, above: Keys) -> Iterator[tuple[Keys, int]]:
    if not isinstance(node, yaml.MappingNode) or len(above) > DEEPEST:
        return
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            keys = (*above, key.value)
            yield keys, key.start_mark.line + 1
            yield from _yaml(value, keys)


def _toml(text: str) -> Iterator[tuple[Keys, int]]:
    table: Keys = ()
    depth, quotes = 0, ""  # of a value that goes on in the next line
    for number, line in enumerate(text.splitlines(), start=1):
        rest = line
        if not depth and not quotes:
            if found := _TABLE.match(line):
                table = _parts(found[1])
                yield table, number
                continue
            if found := _KEY.match(line):
                keys = (*table, *_parts(found[1]))
                yield from ((keys[:length], number) for length in range(len(table) + 1, len(keys) + 1))
                rest = line[found.end() :]
        depth, quotes = _after(rest, depth, quotes)


def _parts(keys: str) -> Keys:
    return tuple(part.strip("\"'") for part in re.findall(_PART, keys))


def _after(text: str, depth: int, quotes: str) -> tuple[int, str]:
    """How many brackets, and which triple quotes, are open after a line."""
    for token in re.findall(r'"""|\'\'\'|"(?:[^"\\]|\\.)*"|\'[^\']*\'|[\[\]{}#]', text):
        if quotes:
            quotes = "" if token == quotes else quotes
        elif token in ('"""', "'''"):
            quotes = token
        elif token == "#":
            break
        else:
            depth += (token in "[{") - (token in "]}") if len(token) == 1 else 0
    return depth, quotes
