"""What is converted, read: one YAML file, or a tree of Hydra files, with the values that the command line changes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError
from darts_train.experiments.converting.changes import SET, parsed, set_value
from darts_train.experiments.converting.hydra import compose, is_hydra
from darts_train.experiments.space.file import read_mapping

FILE = "FILE"


def read_config(path: Path, changes: Sequence[str]) -> dict[str, Any]:
    """The whole configuration as one mapping, anchors and references resolved and changes made.

    `path` is a file, or the directory of a Hydra tree (with train.yaml or config.yaml). `changes` are `a.b=value`, and
    for Hydra `group=choice`. Raises UserError, one line, for what cannot be read or found.
    """
    for text in changes:
        if "=" not in text.lstrip("=") or not text.partition("=")[0].strip("+~ "):
            raise UserError(f"{SET}: {text!r} is not key=value, such as trainer.max_epochs=20.")
    file = _main_file(path)
    tree = read_mapping(file, FILE)
    if is_hydra(tree):
        return compose(file, tree, changes)
    for text in changes:
        key, _, value = text.partition("=")
        set_value(tree, key.strip().lstrip("+"), parsed(value))
    return tree


def _main_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in ("train.yaml", "config.yaml"):
        if (path / name).is_file():
            return path / name
    raise UserError(f"{FILE}: {path} has neither train.yaml nor config.yaml.")
