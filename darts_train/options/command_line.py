"""The command that would be typed for given options: what one runner tells its user to start the next with."""

import dataclasses
import shlex
from typing import Any

from darts_train.options.fields import flag_name


def command_line(command: str, *groups: Any, always: tuple[str, ...] = (), **changed: Any) -> str:
    """`darts COMMAND --option value …`, quoted for a shell, with every option that is not at its default.

    `always` are options that are written in any case, since the command has another default than their group;
    `changed` replaces values by the names of their fields.
    """
    words = ["darts", command]
    for group in groups:
        for field in dataclasses.fields(group):
            value = changed.get(field.name, getattr(group, field.name))
            if value != field.default or field.name in always:
                words += _option(flag_name(field.name), value)
    return shlex.join(words)


def _option(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, tuple):
        return [word for item in value for word in (flag, str(item))]
    return [flag, "none" if value is None else str(value)]
