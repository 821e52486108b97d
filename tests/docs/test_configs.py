"""The example configurations say only what the commands know."""

import warnings
from pathlib import Path

import pytest

from darts_train.cli import main as _main  # noqa: F401  (declares the commands)
from darts_train.cli.config_file import read_options
from darts_train.cli.registry import COMMANDS

ROOT = Path(__file__).parents[2]
RASTER_RUN = ("preprocess-raster-train-data", "train-smp")
COMMANDS_OF = {
    "raster.toml": ("preprocess-raster-train-data", "cross-validation-smp"),
    "planet.toml": ("preprocess-planet-train-data", "cross-validation-smp"),
    "s2.toml": ("preprocess-s2-train-data", "cross-validation-smp"),
    "kelp-wanted-ensemble.toml": ("preprocess-raster-train-data", "cross-validation-smp"),
    **dict.fromkeys(
        (
            f"{name}.toml"
            for name in (
                "kelp-rgb",
                "kelp-rgbi",
                "kelp-ps8b",
                "mussels-rgb",
                "goosenecks",
                "kelp-wanted",
                "flood-resnet34",
                "flood-mobilenet",
            )
        ),
        RASTER_RUN,
    ),
}


@pytest.mark.parametrize(("name", "command"), [(n, c) for n, cs in COMMANDS_OF.items() for c in cs])
def test_every_key_is_known_and_every_required_option_is_given(name, command):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values, complaints = read_options(ROOT / "configs" / name, command)
    assert complaints == []
    assert {option.name for option in COMMANDS[command] if option.required} <= set(values)


@pytest.mark.parametrize("name", COMMANDS_OF)
def test_every_key_belongs_to_one_of_the_commands_that_the_file_is_for(name):
    known = {option.name for command in COMMANDS_OF[name] for option in COMMANDS[command]}
    values, _ = read_options(ROOT / "configs" / name, COMMANDS_OF[name][0])
    assert set(values) <= known
