"""Help in plain text at 80 columns: the options of a command under the headings of their groups."""

from typing import Any

from typer.core import TyperCommand, TyperGroup

HELP_WIDTH = 80
PANELS = ("Start", "Train data", "Learning", "Maps")  # families of commands, in the order of a day's work


def _by_panel(items: list[tuple[str, tuple[str, str]]]) -> dict[str, list[tuple[str, str]]]:
    panels: dict[str, list[tuple[str, str]]] = {}
    for panel, record in items:
        panels.setdefault(panel, []).append(record)
    return panels


def _panel(command: Any) -> str:
    return str(command.rich_help_panel)


class GroupedCommand(TyperCommand):
    """A command whose help shows one section for each option group, the common options last."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections; a required option says so in its text."""
        records = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                records.append((getattr(parameter, "rich_help_panel", None) or "Common", record))
        panels = _by_panel(records)
        common = panels.pop("Common", [])
        for name, rows in [*panels.items(), ("Common", common)]:
            with formatter.section(name):
                formatter.write_dl(rows)


class GroupedCommands(TyperGroup):
    """The root: commands under the headings of their families, in the order of a day's work.

    What `commands` holds is enough for the list; the options of a command are read when it is asked for.
    """

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command with all its options, or None where there is none of that name."""
        entry = self.commands.get(cmd_name)
        return entry and getattr(entry.callback, "whole")()  # noqa: B009

    def list_commands(self, ctx: Any) -> list[str]:
        """Command names by family, in the order in which they were declared."""
        return sorted(self.commands, key=lambda name: PANELS.index(_panel(self.commands[name])))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each family."""
        width = formatter.width - 6 - max(map(len, self.commands), default=0)
        rows = []
        for name in self.list_commands(ctx):
            entry = self.commands[name]
            rows.append((_panel(entry), (name, entry.get_short_help_str(width))))
        for title, records in _by_panel(rows).items():
            with formatter.section(title):
                formatter.write_dl(records)
