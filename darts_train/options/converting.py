"""Options of convert-config."""

from dataclasses import dataclass
from pathlib import Path

from darts_train.options.fields import OptionGroup, option


@dataclass(frozen=True, kw_only=True)
class ConvertConfig(OptionGroup):
    """A configuration of another tool, and what is made of it."""

    file: Path = option("YAML file, or the directory of a Hydra tree.", positional=True)
    out: Path = option("TOML file to write.", Path("config.toml"))
    set: tuple[str, ...] | None = option(
        "Change a value first, as a.b=value, or a group of Hydra, as model=x (repeat).", None, commas=False
    )
    overwrite: bool = option("Replace what is there.", False)
