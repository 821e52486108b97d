"""Option groups become Typer options: a command is a function of groups, and this module writes its signature.

    @command(app, "Training")
    def train_smp(data: Data, training: Training) -> None: ...

gets one option for each field of `Data` and `Training`, a `--config-file` whose values are defaults, and logging.
A command that has a parameter `config_file` is also told which file was read; one that has a parameter `typed`, the
names of the options that stood on the command line. Typer reads that signature when the command is asked for: all
commands together take it longer than everything else before a help text.
"""

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from darts_train.base.errors import UserError
from darts_train.cli.config_file import DEFAULT_NAME, read_options
from darts_train.cli.help import HELP_WIDTH, GroupedCommand
from darts_train.cli.registry import COMMANDS, CommandOption, declare
from darts_train.options.fields import OptionGroup

GLOBAL_PANEL = "Common"


def command(app: typer.Typer, panel: str, defaults: dict[str, Any] | None = None) -> Callable[..., Any]:
    """Register a function of option groups as a command.

    Args:
        app: where the command is added.
        panel: heading under which the root help lists it.
        defaults: defaults that differ from those of the groups, by field name.
    """

    def register(body: Callable[..., None]) -> Callable[..., None]:
        name = body.__name__.replace("_", "-")
        hints = typing.get_type_hints(body)
        groups = {k: g for k, g in hints.items() if isinstance(g, type) and issubclass(g, OptionGroup)}
        declare(name, groups.values(), defaults or {})

        def run(**values: Any) -> None:
            from darts_train.base.log import setup_logging

            common = {key: values.pop(key) for key in _COMMON}
            log_file = setup_logging(name, common["log_dir"], common["verbose"])
            typer_context = values.pop("context")
            typer_context.find_root().obj = log_file
            _warn(typer_context, common["strict_config"])
            arguments = {key: _build(group, values) for key, group in groups.items()}
            if "config_file" in hints:
                arguments["config_file"] = common["config_file"]
            if "typed" in hints:
                arguments["typed"] = frozenset(n for n in values if _is_typed(typer_context, n))
            body(**arguments)

        run.__name__, run.__doc__ = body.__name__, body.__doc__
        app.command(name, rich_help_panel=panel)(_entry(name, run))
        return body

    return register


def _entry(name: str, run: Callable[..., None]) -> Callable[[], None]:
    """What the list of commands shows; its `whole` makes the command with all its options."""

    def entry() -> None:
        raise AssertionError(f"{name} was called without its options")

    @functools.cache
    def whole() -> Any:
        parameters = [_context(), *_common(), *(_parameter(option) for option in COMMANDS[name])]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        alone.command(name, cls=GroupedCommand)(run)
        return typer.main.get_command(alone)

    entry.__doc__ = run.__doc__
    entry.whole = whole  # type: ignore[attr-defined]
    return entry


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _build(group: type[Any], values: dict[str, Any]) -> Any:
    """An instance of a group from the values of a call: lists become tuples, [None] becomes None."""
    taken = {}
    for field in dataclasses.fields(group):
        value = values[field.name]
        if isinstance(value, list | tuple):
            flat = [item for part in value for item in (part if isinstance(part, list) else [part])]
            value = None if flat == [None] else tuple(flat)
        taken[field.name] = value
    return group(**taken)


def _parameter(option: CommandOption) -> inspect.Parameter:
    """The Typer option of a field. Several values arrive as a list of the lists that each text gave."""
    default: Any = ... if option.required else option.default
    if option.type.many and isinstance(default, tuple):
        default = list(default)
    metavar, text = _shown(option)
    text = text if option.required else f"{text}  [{default_text(option)}]"
    settings: dict[str, Any] = {"help": text, "show_default": False}
    settings["rich_help_panel"] = option.group.title
    if not option.type.is_flag:
        settings |= {"parser": _parser(option), "metavar": metavar}
    if option.positional:
        argument = typer.Argument(default, metavar=option.flags[0], help=text, show_default=False)
        argument.rich_help_panel = option.group.title
        kind = option.type.kinds[0]
        return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=argument, annotation=kind)
    annotation = bool if option.type.is_flag else list[Any] if option.type.many else typing.Any
    info = typer.Option(default, *option.flags, **settings)
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=annotation)


def _shown(option: CommandOption) -> tuple[str, str]:
    """What stands for the value, and the help; choices too many for a line of help are listed in its text."""
    names = option.type.metavar
    if len(f"  {', '.join(option.flags)} {names}") <= HELP_WIDTH:
        return names, option.help
    return "NAME", f"{option.help} One of {names.replace('|', ', ')}."


def default_text(option: CommandOption) -> str:
    """The default of an option as help texts show it."""
    if option.type.is_flag:
        return "on" if option.default else "off"
    if option.default is None:
        return "none"
    return ",".join(map(str, option.default)) if option.type.many else str(option.default)


def _parser(option: CommandOption) -> Callable[[Any], Any]:
    def parse(raw: Any) -> Any:
        if not isinstance(raw, str):  # a default, or a value of the configuration file: already read
            return raw
        try:
            return option.type.parse(raw)
        except ValueError as error:
            raise typer.BadParameter(f"{error}.") from None

    return parse


def config_values(context: typer.Context, path: Path | None) -> Path | None:
    """Eager callback of --config-file: its values become the defaults of the command's other options."""
    given = path or (context.parent.params.get("config_file") if context.parent else None)
    file = Path(given) if given else Path(DEFAULT_NAME)
    if given is None and not file.is_file():
        return None
    values, warnings = read_options(file, context.info_name or "")
    context.default_map = values
    context.meta["config_warnings"] = warnings
    return file


def _warn(context: typer.Context, strict: bool) -> None:
    warnings = context.meta.get("config_warnings", [])
    if not warnings:
        return
    if strict:
        raise UserError(warnings[0])
    from darts_train.base.log import logger

    for line in warnings:
        logger("config").warning("%s", line)


def _context() -> inspect.Parameter:
    return inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)


_COMMON = ("config_file", "strict_config", "log_dir", "verbose")


def _common() -> list[inspect.Parameter]:
    """Options that every command has."""
    options = {
        "config_file": (Path | None, typer.Option(
            None, is_eager=True, callback=config_values, metavar="PATH", rich_help_panel=GLOBAL_PANEL,
            help="TOML file whose darts table gives defaults; config.toml is read where it exists.")),
        "strict_config": (bool, typer.Option(
            False, "--strict-config/--no-strict-config", rich_help_panel=GLOBAL_PANEL, show_default=False,
            help="Refuse unknown keys in the configuration file.  [off]")),
        "log_dir": (Path, typer.Option(
            Path("logs"), metavar="PATH", rich_help_panel=GLOBAL_PANEL, show_default=False,
            help="Directory of the log files.  [logs]")),
        "verbose": (int, typer.Option(
            0, "--verbose", "-v", count=True, metavar="", show_default=False, rich_help_panel=GLOBAL_PANEL,
            help="Say more.")),
    }  # fmt: skip
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=annotation)
        for name, (annotation, info) in options.items()
    ]
