"""Options of a trained network as a file: conversion."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option

FileFormat = Literal["ckpt", "safetensors", "hub"]


@dataclass(frozen=True, kw_only=True)
class Convert(OptionGroup):
    """A Lightning checkpoint that becomes a model file."""

    lightning_checkpoint: Path = option("Checkpoint of a run, such as checkpoints/best.ckpt; or an older model file.")
    out_directory: Path = option("Directory of the model file.")
    checkpoint_name: str = option("Name of the model; the file is NAME_DATE.ckpt.")
    framework: Literal["smp"] = option("Framework of the network.", "smp")
    file_format: FileFormat = option(
        "One file; safetensors and JSON; or a folder with a model card.", "ckpt", aliases=("--format",)
    )
    license: str = option("Licence, for the model card: mit, cc-by-4.0, …", "unknown")
    overwrite: bool = option("Replace what is there.", False)
