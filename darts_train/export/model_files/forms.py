"""The forms of a model file: one file of torch, safetensors with JSON, a folder with a model card.

Each appears whole or not at all, and only after it was read back.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from darts_train.base.directories import appearing_directory, staging_directory
from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path, fsync_directory, write_text
from darts_train.export.model_files.lineage import Lineage
from darts_train.export.model_files.model_card import model_card
from darts_train.models.locate import FOLDER_CONFIG, FOLDER_WEIGHTS
from darts_train.models.model_file import save_model_file
from darts_train.models.safetensors_file import SUFFIX, config_beside, write_safetensors
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
    if convert.file_format == "safetensors":
        with staging_directory(path) as staging:
            _write(staging, config, weights, check)
            (staging / FOLDER_WEIGHTS).replace(path)
            (staging / FOLDER_CONFIG).replace(config_beside(path))
            fsync_directory(path.parent)
        return path.stat().st_size / 1e6
    with appearing_directory(path) as folder:
        _write(folder, config, weights, check)
        write_text(folder / CARD, model_card(config, lineage, convert.license, path.name))
    return sum(file.stat().st_size for file in path.iterdir()) / 1e6


def _write(folder: Path, config: Mapping[str, Any], weights: Mapping[str, torch.Tensor], check: Check) -> None:
    write_safetensors(folder / FOLDER_WEIGHTS, config, weights)
    check(folder / FOLDER_WEIGHTS)
