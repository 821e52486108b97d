"""Hook of mkdocs: the reference of every command, written from the options as the program declares them.

Called as a program it draws the figures of the guides that show arithmetic: `python docs/hooks.py`.
"""

from functools import partial
from pathlib import Path

from darts_train.cli import main as _main  # noqa: F401  (declares the commands)
from darts_train.cli.app import app
from darts_train.cli.expand import default_text
from darts_train.cli.help import PANELS
from darts_train.cli.registry import COMMANDS

STRATEGIES = Path(__file__).parent / "images" / "strategies.svg"
RUNS = ((0.7, 0.8), (0.3, 0.95), (0.9, 0.1))  # IoU and recall: even, lopsided, and lopsided the other way
PAGE, MARK = "reference/commands.md", "<!-- commands -->"
KELP_PAGE, KELP_MARK = "guides/indices.md", "<!-- kelp indices -->"


def on_page_markdown(markdown, page, **_):
    """Put the reference, and the table of indices, in place of the mark on its page."""
    if page.file.src_uri == KELP_PAGE:
        return markdown.replace(KELP_MARK, kelp_indices())
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


def kelp_indices() -> str:
    """Markdown of the kelp catalogue: a row for each index."""
    from darts_train.features.kelp import FORMULAS, PRODUCTION
    from darts_train.features.names import SAME_IN_SPYNDEX, without_prefix

    lines = ["| `kelp:` | 17 | formula | the name without `kelp:` | in spyndex |", "|---|---|---|---|---|"]
    for name, formula in FORMULAS.items():
        mark, theirs = "•" if name in PRODUCTION else "", SAME_IN_SPYNDEX.get(name, "")
        lines.append(f"| `{name}` | {mark} | `{formula}` | {without_prefix(name)} | {theirs} |")
    return "\n".join(lines)


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]


def strategies() -> bytes:
    """What the four strategies of scoring make of two metrics, as SVG."""
    from darts_train.figures.strategies import strategy_panels
    from darts_train.metrics.combine import combine
    from darts_train.reporting.markdown import standalone

    names = ("arithmetic", "geometric", "harmonic", "min")
    panels = [(name, partial(_combined, combine, name)) for name in names]
    return standalone(strategy_panels(panels, "val/JaccardIndex", "val/Recall", RUNS))


def _combined(combine, name, x, y):
    return combine((x, y), name)


if __name__ == "__main__":
    STRATEGIES.write_bytes(strategies())
