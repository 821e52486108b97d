"""Settings that a run kept, as the command that repeats it."""

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

from darts_train.artifacts.run_record import RunRecord
from darts_train.base.errors import UserError
from darts_train.options.command_line import command_line
from darts_train.options.fields import OptionGroup
from darts_train.options.learning import Data, Device, Hyperparameters, Run, Split, Training
from darts_train.options.searching import CrossValidation, Repeats, Scoring

GROUPS: dict[str, type[OptionGroup]] = {
    "data": Data, "split": Split, "hyperparameters": Hyperparameters, "training": Training, "device": Device,
}  # fmt: skip
BREAK = 72  # characters of a line, after which the next option begins another


def run_command(record: RunRecord, name: str) -> str | None:
    """The `darts train-smp` that repeats a run under another name; None where its settings are of another version."""
    run = Run(run_name=name, fold=record.fold, random_seed=record.seed)
    groups = _groups(record.settings)
    return wrapped(command_line("train-smp", *groups, run)) if groups else None


def cross_validation_command(record: RunRecord, settings: Mapping[str, Any], name: str) -> str | None:
    """The `darts cross-validation-smp` that repeats a cross-validation under another name.

    `record` is that of one of its runs, `settings` those of cv.json. None as for `run_command`.
    """
    groups = _groups(record.settings)
    repeats = Repeats(n_folds=settings.get("n_folds"), n_randoms=max(len(settings.get("seeds") or ()), 1))
    scoring = _group(Scoring, {k: v for k, v in settings.items() if v})
    if not groups:
        return None
    return wrapped(command_line("cross-validation-smp", *groups, repeats, scoring, CrossValidation(cv_name=name)))


def wrapped(line: str) -> str:
    """A command in lines of about 100 characters, broken before options."""
    lines, current = [], ""
    for word in shlex.split(line):
        quoted = shlex.quote(word)
        if word.startswith("--") and len(current) + len(quoted) > BREAK:
            lines.append(current)
            current = "    " + quoted
        else:
            current = f"{current} {quoted}" if current else quoted
    return " \\\n".join([*lines, current])


def _groups(settings: Mapping[str, Any]) -> list[OptionGroup]:
    """The option groups of recorded settings; none where a value is refused."""
    try:
        return [_group(kind, settings.get(name) or {}) for name, kind in GROUPS.items()]
    except (UserError, TypeError, ValueError):
        return []


def _group(kind: type[OptionGroup], values: Mapping[str, Any]) -> OptionGroup:
    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in names})
