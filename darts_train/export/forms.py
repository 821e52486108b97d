"""The forms of a model file: one file of torch, safetensors with JSON, a folder with a model card.

Each appears whole or not at all, and only after it was read back.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path, fsync_directory, remove_tree, write_text
from darts_train.export.lineage import Lineage
from darts_train.export.model_card import model_card
from darts_train.models.model_file import save_model_file
from darts_train.models.safetensors_file import FOLDER_WEIGHTS, SUFFIX, config_beside, write_safetensors
from darts_train.options.model_files import Convert

CARD = "README.md"
_SUFFIXES = {"ckpt": ".ckpt", "safetensors": SUFFIX, "hub": ""}
Check = Callable[[Path], None]


def target(convert: Convert, day: str) -> Path:
    """Where the model file goes. Raises UserError where something is there, unless it is to be replaced."""
    path = convert.out_directory / f"{convert.checkpoint_name}_{day}{_SUFFIXES[convert.file_format]}"
    beside = [config_beside(path)] if convert.file_format == "safetensors" else []
    for place in (path, *beside):
        if place.exists() and not convert.overwrite:
            raise UserError(f"--out-directory: {place} is there already; give --overwrite to replace it.")
        if place.exists() and place.is_dir() != (convert.file_format == "hub"):
            raise UserError(f"--out-directory: {place} is a {'directory' if place.is_dir() else 'file'}; remove it.")
    return path


def write_form(
    convert: Convert,
    path: Path,
    config: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    lineage: Lineage,
    check: Check,
) -> float:
    """Write the form that was asked for and give its size in MB.

    `check` is shown what was written before it gets its name; where it raises, nothing is left.
    """
    if convert.file_format == "ckpt":
        with atomic_path(path) as temporary:
            save_model_file(temporary, config, weights)
            check(temporary)
        return path.stat().st_size / 1e6
    staging = path.with_name(f".{path.name}.new.tmp")
    remove_tree(staging)
    staging.mkdir(parents=True)
    try:
        write_safetensors(staging / FOLDER_WEIGHTS, config, weights)
        check(staging / FOLDER_WEIGHTS)
        if convert.file_format == "hub":
            write_text(staging / CARD, model_card(config, lineage, convert.license, path.name))
            _become(staging, path)
            return sum(file.stat().st_size for file in path.iterdir()) / 1e6
        (staging / FOLDER_WEIGHTS).replace(path)
        config_beside(staging / FOLDER_WEIGHTS).replace(config_beside(path))
        fsync_directory(path.parent)
        return path.stat().st_size / 1e6
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _become(staging: Path, path: Path) -> None:
    """A directory takes the place of another, which is moved aside first: a kill leaves one of them, whole."""
    aside = path.with_name(f".{path.name}.old.tmp")
    remove_tree(aside)
    if path.exists():
        path.rename(aside)
    try:
        staging.rename(path)
    except OSError:
        if aside.exists():
            aside.rename(path)
        raise
    fsync_directory(path.parent)
    remove_tree(aside)
