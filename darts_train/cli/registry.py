"""Every option of every command, by name: what the configuration file may say, and how it is read."""

import dataclasses
import functools
import typing
from typing import Any

from darts_train.cli.types import OptionType, option_type
from darts_train.options.fields import OptionGroup, flag_name


@dataclasses.dataclass(frozen=True)
class CommandOption:
    """One option of a command: the field of a group, its type and the default that holds in this command."""

    name: str
    group: type[OptionGroup]
    type: OptionType
    default: Any
    help: str
    aliases: tuple[str, ...]
    positional: bool = False

    @property
    def required(self) -> bool:
        """Whether the command cannot run without it."""
        return self.default is dataclasses.MISSING

    @property
    def flags(self) -> tuple[str, ...]:
        """Option names with dashes; a boolean as `--x/--no-x`; of a positional one its name in capitals."""
        if self.positional:
            return (self.name.upper(),)
        flag = flag_name(self.name)
        first = f"{flag}/--no-{flag[2:]}" if self.type.is_flag else flag
        return (first, *self.aliases)


COMMANDS: dict[str, tuple[CommandOption, ...]] = {}  # filled as the commands are declared
OPTIONS: dict[str, CommandOption] = {}  # by field name, over all commands


def declare(command: str, groups: typing.Iterable[type[OptionGroup]], defaults: dict[str, Any]) -> None:
    """Enter a command's options. Two options of one name in a command, or of two types at all, are our mistake."""
    options: dict[str, CommandOption] = {}
    for group in groups:
        for field in _options_of(group):  # type: ignore[arg-type]
            option = dataclasses.replace(field, default=defaults[field.name]) if field.name in defaults else field
            if option.name in options:
                raise TypeError(f"{command}: option {option.name} is declared twice")
            known = OPTIONS.setdefault(option.name, option)
            if known is not option and dataclasses.replace(known.type, optional=option.type.optional) != option.type:
                raise TypeError(f"{command}: option {option.name} has another type in another command")
            options[option.name] = option
    COMMANDS[command] = tuple(options.values())


def options_for(command: str) -> dict[str, CommandOption]:
    """All options by name; those of `command` as that command declares them (it may not take `none`)."""
    return OPTIONS | {option.name: option for option in COMMANDS.get(command, ())}


@functools.cache
def _options_of(group: type[OptionGroup]) -> tuple[CommandOption, ...]:
    hints = typing.get_type_hints(group)
    return tuple(
        CommandOption(
            name=field.name,
            group=group,
            type=option_type(hints[field.name], field.metadata["commas"]),
            default=field.default,
            help=field.metadata["help"],
            aliases=field.metadata["aliases"],
            positional=field.metadata["positional"],
        )
        for field in dataclasses.fields(group)  # type: ignore[arg-type]
    )
