"""How an option is declared: a field of a frozen dataclass with a default, a help text and its limits.

The command line is built from these declarations (`cli/expand.py`), and a notebook that makes the
same dataclass gets the same checks. Standard library only, so that `--help` answers at once.
"""

import dataclasses
import math
import re
from typing import Any, ClassVar

from darts_train.base.errors import UserError


def option(
    help: str,
    default: Any = dataclasses.MISSING,
    *,
    aliases: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    commas: bool = True,
    positional: bool = False,
) -> Any:
    """Declare an option of a group.

    `low` and `high` are inclusive limits, `above` an exclusive one; they hold for each item of a tuple.
    `aliases` are further option names, with their dashes. `commas` says whether `a,b` is two items
    (never for regions, samples and paths, whose names contain commas). A `positional` one is given without its name.
    """
    metadata = {"help": help, "aliases": aliases, "low": low, "high": high, "above": above, "commas": commas}
    metadata["positional"] = positional
    return dataclasses.field(default=default, metadata=metadata)


def flag_name(field_name: str) -> str:
    """`patch_size` → `--patch-size`."""
    return "--" + field_name.replace("_", "-")


class OptionGroup:
    """Base of all option groups: checks limits when an instance is made. Raises UserError naming the option.

    `title` is the heading of the group in help texts and configuration files: the name of the class in words, or as
    the class says (`class Stac(OptionGroup, title="STAC")`).
    """

    title: ClassVar[str]

    def __init_subclass__(cls, title: str | None = None) -> None:
        words = re.findall("[A-Z][a-z]+", cls.__name__)
        cls.title = title or " ".join(words).capitalize()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, int | float) and not isinstance(item, bool):
                    _check_limits(flag_name(field.name), item, field.metadata)


def _check_limits(flag: str, value: float, metadata: Any) -> None:
    low, high, above = metadata.get("low"), metadata.get("high"), metadata.get("above")
    if not math.isfinite(value):
        raise UserError(f"{flag}: {value} is not a finite number.")
    if low is not None and value < low:
        raise UserError(f"{flag}: {value} is below the least value, {low}.")
    if high is not None and value > high:
        raise UserError(f"{flag}: {value} is above the greatest value, {high}.")
    if above is not None and value <= above:
        raise UserError(f"{flag}: {value} must be greater than {above}.")
