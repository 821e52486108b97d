"""The commands of the report are commands of the program, with options that it has."""

import dataclasses
import shlex
from itertools import pairwise

import pytest

from darts_train.cli import main as _main  # noqa: F401  (declares the commands)
from darts_train.cli.registry import COMMANDS
from darts_train.quickstart.commands import WRAP, commands, script, validation_interval
from darts_train.quickstart.task import ALL_CLASSES, CLOUD, Recipe


def lines(task=CLOUD):
    return commands(task, Recipe(), {"learning_rate": 1e-3}, 42, "auto", "abcd1234", "clouds_2026-01-01.ckpt")


@pytest.mark.parametrize("task", [CLOUD, ALL_CLASSES])
def test_every_option_is_one_of_its_command(task):
    for line in lines(task):
        program, name, *words = shlex.split(line)
        assert program == "darts"
        known = {flag for option in COMMANDS[name] for part in option.flags for flag in part.split("/")}
        given = [word for word in words if word.startswith("--")]
        assert given
        assert set(given) <= known, name
        required = {option.flags[0] for option in COMMANDS[name] if option.required}
        assert required <= set(given), name


def test_values_are_read_as_their_options_read_them():
    for line in lines():
        _, name, *words = shlex.split(line)
        options = {option.flags[0].split("/")[0]: option for option in COMMANDS[name]}
        for flag, value in pairwise(words):
            if flag in options and not options[flag].type.is_flag:
                options[flag].type.parse_file_value(value)


def test_lines_are_short_enough_to_be_read():
    assert max(len(part) for line in lines() for part in line.splitlines()) <= WRAP + 30


def test_the_script_runs_one_command_after_the_other():
    text = script(lines())
    assert text.startswith("#!/bin/sh\n")
    assert "set -e" in text
    assert sum(part.startswith("darts ") for part in text.splitlines()) == len(lines())


@pytest.mark.parametrize(("epochs", "interval"), [(1, 1), (7, 1), (24, 6), (41, 10)])
def test_validation_comes_about_four_times(epochs, interval):
    assert validation_interval(epochs) == interval


def test_the_recipe_is_one_that_quickstart_json_can_hold():
    import json

    assert json.loads(json.dumps(dataclasses.asdict(Recipe())))["epochs"] == Recipe().epochs
