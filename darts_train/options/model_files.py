"""Options of a trained network as a file: conversion."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option


@dataclass(frozen=True, kw_only=True)
class Convert(OptionGroup):
    """A Lightning checkpoint that becomes a model file."""

    lightning_checkpoint: Path = option("Checkpoint of a run, such as checkpoints/best.ckpt.")
    out_directory: Path = option("Directory of the model file.")
    checkpoint_name: str = option("Name of the model; the file is NAME_DATE.ckpt.")
    framework: Literal["smp"] = option("Framework of the network.", "smp")
