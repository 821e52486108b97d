"""The configuration file: TOML whose `darts` table gives options their values.

Only leaf keys count, sub-headings are for the reader; `-` and `_` are the same.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError, nearest
from darts_train.cli.registry import CommandOption, options_for
from darts_train.cli.retired_keys import RETIRED_KEYS
from darts_train.options.known_keys import SET_KEYS

DEFAULT_NAME = "config.toml"


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file; UserError with file and line where it cannot be read."""
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"--config-file: {path} does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--config-file: {path} cannot be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not valid TOML: {error}.") from None


def has_space(path: Path | None) -> bool:
    """Whether a configuration file says what a search varies, too. Raises UserError where it cannot be read."""
    return path is not None and "hyperparameters" in read_toml(path)


def leaves(table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """All (key, value) below a table that are not tables themselves, in file order."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value)
        else:
            yield key, value


def read_options(path: Path, command: str) -> tuple[dict[str, Any], list[str]]:
    """Values of options that a configuration file gives to a command, and the warnings it deserves.

    Returns the values by option name, already of the option's type, and one line for each key that is
    unknown or retired. Raises UserError for a wrong type and for a key that is given twice.
    """
    table = read_toml(path).get("darts", {})
    if not isinstance(table, dict):
        raise UserError(f"{path}: darts must be a table, [darts].")
    options = options_for(command)
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for key, raw in leaves(table):
        name, raw = _meant(key.replace("-", "_"), raw)
        if name in values:
            raise UserError(f"{path}: key {key!r} is given twice below [darts]; keep one.")
        if name in options:
            values[name] = _value(path, key, raw, options[name])
        elif name in RETIRED_KEYS:
            warnings.append(f"{path}: {key!r} is no longer used; {RETIRED_KEYS[name]}.")
        elif name not in SET_KEYS:
            warnings.append(f"{path}: unknown key {key!r}{nearest(name, options, 1)}.")
    return values, warnings


def _meant(name: str, raw: Any) -> tuple[str, Any]:
    """`augment` may be a list, too: then it says which augmentations; without any, that there are none."""
    if name == "augment" and isinstance(raw, list):
        return ("augmentations", raw) if raw else (name, False)
    return name, raw


def _value(path: Path, key: str, raw: Any, option: CommandOption) -> Any:
    """The value as its option reads it. None stays the text `none`: a default of None would count as not given."""
    try:
        value = option.type.parse_file_value(raw)
        return "none" if value is None else value
    except ValueError as error:
        raise UserError(f"{path}: key {key!r}: {error}.") from None
