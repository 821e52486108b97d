"""Hook of mkdocs: the reference of every command, written from the options as the program declares them."""

from darts_train.cli import main as _main  # noqa: F401  (declares the commands)
from darts_train.cli.app import app
from darts_train.cli.expand import default_text
from darts_train.cli.help import PANELS
from darts_train.cli.registry import COMMANDS

PAGE, MARK = "reference/commands.md", "<!-- commands -->"


def on_page_markdown(markdown, page, **_):
    """Put the reference in place of the mark on its page."""
    return markdown.replace(MARK, reference()) if page.file.src_uri == PAGE else markdown


def reference() -> str:
    """Markdown of all commands: a heading each, a table for each group of options."""
    infos = {info.name: info for info in app.registered_commands}
    parts = []
    for panel in PANELS:
        parts.append(f"## {panel}\n")
        for name in (n for n in COMMANDS if infos[n].rich_help_panel == panel):
            parts.append(_command(name, infos[name].callback.__doc__ or ""))
    return "\n".join(parts)


def _command(name: str, text: str) -> str:
    lines = [f"### darts {name}\n", "\n".join(line.strip() for line in text.strip().splitlines()), ""]
    group = None
    for option in COMMANDS[name]:
        if option.group is not group:
            group = option.group
            lines += ["", f"**{group.title}**: {_first_line(group.__doc__)}", ""]
            lines += ["| option | value | default | |", "|---|---|---|---|"]
        flags = ", ".join(f"`{flag}`" for flag in option.flags)
        value = "" if option.type.is_flag else option.type.metavar.replace("|", "\\|")
        default = "required" if option.required else default_text(option)
        lines.append(f"| {flags} | {value} | {default} | {option.help} |")
    return "\n".join([*lines, ""])


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]
