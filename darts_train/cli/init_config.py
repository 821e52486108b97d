"""The text of a new configuration file: every option of a preset's commands, commented, with its default."""

import textwrap
from typing import Any

import tomlkit
from tomlkit.items import Table

from darts_train.cli.registry import COMMANDS, CommandOption

PRESETS: dict[str, tuple[str, ...]] = {
    "raster": ("preprocess-raster-train-data", "cross-validation-smp"),
    "planet": ("preprocess-planet-train-data", "tune-smp"),
    "sweep": ("cross-validation-smp", "optuna-sweep-smp"),
}
NOT_IN_FILES = {"overwrite", "dry_run", "force_preprocess", "json"}  # said at the moment, not for good


def config_text(preset: str) -> str:
    """TOML text of a preset: required options uncommented, all others as comments that show the default."""
    document = tomlkit.document()
    document.add(tomlkit.comment(f"Configuration of darts, preset {preset}. Command line > this file > default."))
    document.add(tomlkit.comment("Remove the # before a key to set it. Only keys below [darts] count;"))
    document.add(tomlkit.comment("the headings are for the reader."))
    darts = tomlkit.table(is_super_table=True)
    seen: set[str] = set()
    for command in PRESETS[preset]:
        for title, options in _groups(command, seen).items():
            darts.add(title, _table(options))
    document.add("darts", darts)
    return tomlkit.dumps(document)


def _groups(command: str, seen: set[str]) -> dict[str, list[CommandOption]]:
    """The command's options by heading, without those that another command of the preset brought."""
    groups: dict[str, list[CommandOption]] = {}
    for option in COMMANDS[command]:
        if option.name not in seen and option.name not in NOT_IN_FILES:
            seen.add(option.name)
            groups.setdefault(option.group.title.lower().replace(" ", "-"), []).append(option)
    return groups


def _table(options: list[CommandOption]) -> Table:
    table = tomlkit.table()
    for option in options:
        for line in textwrap.wrap(option.help, 76):
            table.add(tomlkit.comment(line))
        key = option.name.replace("_", "-")
        if option.required:
            table.add(key, _example(option))
        else:
            table.add(tomlkit.comment(f"{key} = {_toml(option.default)}"))
    return table


def _example(option: CommandOption) -> Any:
    return option.name.replace("_dir", "").replace("_", "-")


def _toml(value: Any) -> str:
    """A default as TOML; None is written as the text none."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    plain = value if isinstance(value, bool | int | float) else "none" if value is None else str(value)
    return str(tomlkit.item(plain).as_string())
