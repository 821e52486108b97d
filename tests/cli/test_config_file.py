"""Precedence, flattening, hyphens, unknown and retired keys of the configuration file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
import typer

import darts_train.cli.main  # noqa: F401  (declares the commands)
from darts_train.base.errors import UserError
from darts_train.cli import registry
from darts_train.cli.app import root
from darts_train.cli.config_file import leaves, read_options
from darts_train.cli.expand import command
from darts_train.cli.help import GroupedCommands
from darts_train.options.fields import OptionGroup, option


@dataclass(frozen=True, kw_only=True)
class Numbers(OptionGroup):
    count: int = option("How many.", 3, low=1, aliases=("--number",))
    share: float | None = option("How much.", 0.5)
    amount: int | Literal["grid"] = option("Amount.", 10)
    seeds: tuple[int, ...] = option("Seeds.", (42, 21))
    places: tuple[str, ...] | None = option("Places.", None, commas=False)
    method: Literal["a", "b"] | None = option("Method.", "a")
    loud: bool = option("Loud.", True)
    folder: Path | None = option("Folder.", None)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Run a command of the group above with a configuration text; gives the group it was called with."""
    monkeypatch.chdir(tmp_path)
    options, commands = dict(registry.OPTIONS), dict(registry.COMMANDS)
    seen: list[Any] = []
    app = typer.Typer(cls=GroupedCommands, rich_markup_mode=None)
    app.callback()(root)

    def probe(numbers: Numbers) -> None:
        seen.append(numbers)

    command(app, "Start")(probe)

    def run(*arguments: str, config: str | None = None, before: tuple[str, ...] = ()) -> Numbers:
        if config is not None:
            (tmp_path / "config.toml").write_text(config)
        app([*before, "probe", *arguments], standalone_mode=False)
        return seen[-1]

    yield run
    for table, before in ((registry.OPTIONS, options), (registry.COMMANDS, commands)):
        table.clear()
        table.update(before)


def test_defaults_hold_without_file_and_options(call):
    assert call() == Numbers()


def test_file_beats_default_and_command_line_beats_file(call):
    config = "[darts]\ncount = 7\nshare = 0.25\n"
    assert call(config=config) == Numbers(count=7, share=0.25)
    assert call("--count", "9", config=config) == Numbers(count=9, share=0.25)
    assert call("--number", "9", config=config).count == 9


def test_headings_are_for_the_reader_and_hyphens_are_underscores(call):
    config = "[other]\ncount = 99\n[darts.a.b]\nshare = 1\n[darts.c]\nfolder = 'x'\n"
    assert call(config=config) == Numbers(share=1.0, folder=Path("x"))


def test_none_is_none_in_file_and_on_the_command_line(call):
    config = "[darts]\nshare = 'none'\nmethod = 'none'\nplaces = 'none'\n"
    assert call(config=config) == Numbers(share=None, method=None, places=None)
    assert call("--method", "none", "--share", "none") == Numbers(share=None, method=None)


def test_lists_repeat_or_take_commas_unless_names_may_hold_them(call):
    assert call("--seeds", "1,2", "--seeds", "3").seeds == (1, 2, 3)
    assert call("--places", "Bonn, am Rhein", "--places", "Rom").places == ("Bonn, am Rhein", "Rom")
    assert call(config="[darts]\nseeds = [5, 6]\nplaces = ['a, b']\n") == Numbers(seeds=(5, 6), places=("a, b",))
    assert call(config="[darts]\nseeds = 5\n").seeds == (5,)


def test_a_literal_stands_beside_a_number(call):
    assert call("--amount", "grid").amount == "grid"
    assert call("--amount", "4").amount == 4


def test_config_file_is_found_before_and_after_the_command(call, tmp_path):
    (tmp_path / "other.toml").write_text("[darts]\ncount = 5\n")
    assert call(before=("--config-file", "other.toml")).count == 5
    assert call("--config-file", "other.toml", config="[darts]\ncount = 6\n").count == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[darts]\ncount = 'x'\n", ["config.toml", "'count'", "'x' is not INTEGER"]),
        ("[darts]\ncount = 1.5\n", ["'count'", "1.5"]),
        ("[darts]\ncount = true\n", ["'count'"]),
        ("[darts]\nloud = 'yes'\n", ["'loud'", "true or false"]),
        ("[darts]\ncount = [1]\n", ["'count'", "a list"]),
        ("[darts]\nmethod = 'c'\n", ["'method'", "a|b|none"]),
        ("[darts.a]\ncount = 1\n[darts.b]\ncount = 2\n", ["'count'", "twice"]),
        ("[darts\n", ["not valid TOML", "line 1"]),
        ("darts = 3\n", ["must be a table"]),
    ],
)
def test_what_is_wrong_is_said_with_file_and_key(call, text, words):
    with pytest.raises(UserError) as error:
        call(config=text)
    assert all(word in str(error.value) for word in words)


def test_limits_hold_for_file_values_too(call):
    with pytest.raises(UserError, match="--count: 0 is below"):
        call(config="[darts]\ncount = 0\n")


def test_unknown_keys_are_warned_once_with_the_nearest(call, tmp_path, capsys):
    call(config="[darts]\ncuont = 3\n")
    assert capsys.readouterr().err.count("unknown key 'cuont'; nearest: count") == 1


def test_strict_config_refuses_unknown_keys(call):
    with pytest.raises(UserError, match="unknown key 'cuont'"):
        call("--strict-config", config="[darts]\ncuont = 3\n")


def test_retired_keys_say_what_to_use_now(call, capsys):
    call(config="[darts]\ntest-val-split = 0.05\ntest-regions = ['x']\n")
    text = capsys.readouterr().err
    assert "'test-val-split' is no longer used" in text
    assert "data-split-method" in text


def test_keys_of_other_commands_are_silent(call, capsys):
    call(config="[darts]\nmax-epochs = 3\nband_scales = [1.0]\n")
    assert capsys.readouterr().err == ""


def test_a_missing_file_is_an_error_only_when_it_was_named(call):
    with pytest.raises(UserError, match=r"absent\.toml does not exist"):
        call("--config-file", "absent.toml")


def test_leaves_keep_file_order():
    assert list(leaves({"a": 1, "b": {"c": {"d": 2}, "e": 3}})) == [("a", 1), ("d", 2), ("e", 3)]


def test_a_wrong_type_in_the_registry_is_our_mistake(call):
    @dataclass(frozen=True, kw_only=True)
    class Other(OptionGroup):
        count: str = option("Not a number.", "x")

    with pytest.raises(TypeError, match="another type"):
        registry.declare("other", [Other], {})


def test_seed_configuration_is_read(tmp_path):
    file = tmp_path / "planet.toml"
    file.write_text(
        "[darts.sweep]\nn-trials = 100\nsweep-db = 'postgresql://pguser@localhost:5432/sweeps'\nn_folds = 3\n"
        "[darts.training]\nearly-stopping-patience = 0\n[darts.hyperparameters]\nbatch-size = 6\naugment = true\n"
        "[darts.pre]\nee-project = 'x'\ntpi-outer-radius = 100\nbands = ['blue', 'ndvi']\ntest-val-split = 0.05\n"
        "test-regions = ['Taymyrsky Dolgano-Nenetsky District']\n[darts.paths]\ndata-dir = '/a'\n"
    )
    values, warnings = read_options(file, "optuna-sweep-smp")
    assert values["n_trials"] == 100
    assert values["tpi_outer_radius"] == 100.0
    assert len(warnings) == 2  # test-val-split, test-regions


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("augment = true", {"augment": True}),
        ("augment = false", {"augment": False}),
        ('augment = ["D4", "Rotate:limit=30"]', {"augmentations": ["D4", "Rotate:limit=30"]}),
        ("augment = []", {"augment": False}),
        ('augmentations = ["D4"]', {"augmentations": ["D4"]}),
    ],
)
def test_the_key_augment_takes_a_list(tmp_path, line, expected):
    path = tmp_path / "c.toml"
    path.write_text(f"[darts]\n{line}\n")
    assert read_options(path, "train-smp") == (expected, [])
