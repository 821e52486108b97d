"""A new configuration file: a preset as it is shipped, or every option of a command, commented, with its default."""

import textwrap
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Table

from darts_train.cli.registry import COMMANDS, CommandOption
from darts_train.options.presets import FILES, about, preset_files

TEMPLATES: dict[str, tuple[str, ...]] = {
    "raster": ("preprocess-raster-train-data", "cross-validation-smp"),
    "planet": ("preprocess-planet-train-data", "tune-smp"),
    "sweep": ("cross-validation-smp", "optuna-sweep-smp"),
}
NOT_IN_FILES = {"overwrite", "dry_run", "force_preprocess", "json"}  # said at the moment, not for good


def files_to_write(preset: str, out: Path) -> dict[Path, str]:
    """Paths and texts of a template or a preset, the configuration first, then the files that it names."""
    return {out: config_text(preset)} if preset in TEMPLATES else preset_files(preset, out)


def preset_list() -> str:
    """A line for each template and each preset."""
    words = {name: f"all options of {' and '.join(commands)}" for name, commands in TEMPLATES.items()}
    words |= {name: about(name) for name in FILES}
    return "\n".join(f"{name:{max(map(len, words))}}  {text}" for name, text in words.items())


def config_text(preset: str) -> str:
    """TOML text of a template: required options uncommented, all others as comments that show the default."""
    document = tomlkit.document()
    document.add(tomlkit.comment(f"Configuration of darts, preset {preset}. Command line > this file > default."))
    document.add(tomlkit.comment("Remove the # before a key to set it. Only keys below [darts] count;"))
    document.add(tomlkit.comment("the headings are for the reader."))
    darts = tomlkit.table(is_super_table=True)
    seen: set[str] = set()
    for command in TEMPLATES[preset]:
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
