"""The text of a converted configuration: options under headings, each with where it comes from, then what was left."""

from typing import Any

import tomlkit

from darts_train.experiments.converting.draft import Draft, Fate

ORDER = ("train-data", "split", "network", "training", "run", "tracking")
LONGEST = 160  # characters of a value in a comment


def config_text(draft: Draft, source: str, tool: str) -> str:
    """The draft as TOML: `darts train-smp --config-file` reads it."""
    lines = [
        f"# Converted from {one_line(source)} ({tool}) by darts convert-config.",
        "# Command line > this file > default.",
    ]
    for heading in ORDER:
        entries = [entry for entry in draft.entries if entry.heading == heading]
        if entries:
            lines += ["", f"[darts.{heading}]"]
        for entry in entries:
            note = f" # {one_line(entry.note)}" if entry.note else ""
            lines.append(f"{entry.name.replace('_', '-')} = {toml_value(entry.value)}{note}")
    lines += _fates("Without a counterpart here:", draft.left)
    lines += _fates("Always so here, or part of an option above:", draft.same)
    return "\n".join(lines) + "\n"


def _fates(title: str, fates: list[Fate]) -> list[str]:
    if not fates:
        return []
    return ["", f"# {title}", *(f"#   {said(fate, LONGEST)}" for fate in fates)]


def said(fate: Fate, longest: int) -> str:
    """A key, its value cut to a length, and the reason, in one line."""
    value = one_line("null" if fate.value is None else str(fate.value))
    value = value if len(value) <= longest else f"{value[: longest - 1]}…"
    return f"{one_line(fate.key)} = {value}: {fate.why}"


def one_line(text: str) -> str:
    """A text without line breaks and control characters, which a comment must not have."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def toml_value(value: Any) -> str:
    """A value of an option as TOML; None is the text none."""
    return str(tomlkit.item("none" if value is None else value).as_string())
