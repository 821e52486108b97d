"""A search as a report sees it: its trials from `{name}.parquet` and from the directories, and the best of them."""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from darts_train.artifacts.names import cv_name
from darts_train.artifacts.tree import RUNS
from darts_train.reporting.evidence import (
    LEAKAGE_FILE,
    CvEvidence,
    RunEvidence,
    read_cross_validation,
    read_json,
    read_or,
    read_runs,
)
from darts_train.reporting.scores import Rule, run_scores

State = Literal["finished", "unstable", "pruned", "failed", "unfinished"]
NO_PARAMETERS = ("cv_name", "pareto", "trial", "number", "hp_index", "state", "reason")


@dataclass(frozen=True, eq=False)
class Trial:
    """A configuration that was tried.

    Attributes:
        number: of the trial.
        values: what it tried, by name; lists as lists.
        runs: rows of run_infos; none where it has just begun.
        scores: what each of them adds to the score; NaN for one that has not finished.
        score: NaN where it has none.
        state: how it ended; `unfinished` where it has not.
        reason: why it was pruned, or has failed; empty where nobody said.
        front: whether it is on the Pareto front; None where the search has a single score.
    """

    number: int
    values: dict[str, Any]
    runs: pd.DataFrame
    scores: list[float]
    score: float
    state: State
    reason: str = ""
    front: bool | None = None


@dataclass(frozen=True, eq=False)
class SearchEvidence:
    """A search.

    Attributes:
        name: its name.
        directory: where it lies.
        trials: by number.
        parameters: names of what is searched.
        rule: of the score.
        settings: of its cross-validations; empty where none lies on this disk.
        planned: runs of a trial that is not pruned.
        best: the best stable trial; None where there is none.
        best_cv: its directory, where it lies on this disk.
        retrained: runs of the best configuration on all training data, tested.
        leakage: leakage.json; empty without it.
    """

    name: str
    directory: Path
    trials: list[Trial]
    parameters: list[str]
    rule: Rule
    settings: dict[str, Any]
    planned: int
    best: Trial | None
    best_cv: CvEvidence | None
    retrained: list[RunEvidence]
    leakage: dict[str, Any]

    def state_count(self, state: State) -> int:
        """How many trials are in a state."""
        return sum(trial.state == state for trial in self.trials)


def read_search(directory: Path, name: str | None = None) -> SearchEvidence:
    """A search's table and directories; trials that another machine ran are in the table alone.

    `name`: of the search, where it is not that of the directory.
    """
    name = name or directory.name
    table = read_or(directory / f"{name}.parquet", pd.read_parquet, pd.DataFrame({"cv_name": []}))
    local = _directories(directory, name)
    settings = _settings(list(local.values()))
    parameters = _parameters(table) or _differing(list(local.values()))
    groups = {_number_of(str(cv), name): part.reset_index(drop=True) for cv, part in table.groupby("cv_name")}
    planned = _planned(settings) or max((len(part) for part in groups.values()), default=0)
    rule = Rule.of(settings)
    trials = [_ended(number, part, parameters, planned, rule) for number, part in groups.items() if number is not None]
    trials += [_going(n, path, parameters, planned, rule) for n, path in local.items() if n not in groups]
    trials.sort(key=lambda trial: trial.number)
    best = best_of(trials, rule)
    place = directory / cv_name(name, best.number) if best else None
    best_cv = read_cross_validation(place) if place is not None and place.is_dir() else None
    leakage = read_json(directory / LEAKAGE_FILE) or (best_cv.leakage if best_cv else {})
    retrained = read_runs(directory / RUNS)
    return SearchEvidence(
        name, directory, trials, parameters, rule, settings, planned, best, best_cv, retrained, leakage
    )


def best_of(trials: list[Trial], rule: Rule) -> Trial | None:
    """The best trial that finished and is stable, the first of equals."""
    best: Trial | None = None
    for trial in trials:
        if trial.state == "finished" and (best is None or rule.better(trial.score, best.score)):
            best = trial
    return best


def _ended(number: int, runs: pd.DataFrame, parameters: list[str], planned: int, rule: Rule) -> Trial:
    """A trial of the table, which has only those that have come to an end."""
    first = runs.iloc[0]
    score = float(first.get("score", math.nan))
    state, reason = _state(runs, score, len(runs) < planned)
    front = bool(first["pareto"]) if "pareto" in runs and pd.notna(first["pareto"]) else None
    values = {name: _value(first[name]) for name in parameters if name in runs}
    said = first.get("reason")
    reason = said if isinstance(said, str) and said else reason
    return Trial(number, values, runs, run_scores(runs, rule), score, state, reason, front)


def _state(runs: pd.DataFrame, score: float, short: bool) -> tuple[State, str]:
    for status in ("pruned", "failed"):
        rows = runs[runs["status"] == status]
        if len(rows):
            return status, str(rows["error"].iloc[0] or "")
    if short:
        return "pruned", f"stopped after {len(runs)} {'run' if len(runs) == 1 else 'runs'}"
    if bool(runs["is_unstable"].any()) or not math.isfinite(score):
        return "unstable", "a metric is 0 or not finite"
    return "finished", ""


def _going(number: int, directory: Path, parameters: list[str], planned: int, rule: Rule) -> Trial:
    """A trial that is in no table yet: it is running, or its runner was killed."""
    found = read_cross_validation(directory)
    values = {name: found.settings.get(name) for name in parameters}
    runs, scores = found.table, run_scores(found.table, rule)
    whole = bool(planned) and len(runs) >= planned and bool((runs["status"] == "finished").all())
    if not whole:
        return Trial(number, values, runs, scores, math.nan, "unfinished", f"{len(runs)} of {planned} runs so far")
    score = float(runs["score"].iloc[0])
    state, reason = _state(runs, score, False)
    return Trial(number, values, runs, scores, score, state, reason)


def _directories(directory: Path, name: str) -> dict[int, Path]:
    found = ((_number_of(path.parent.name, name), path.parent) for path in directory.glob("*/cv.json"))
    return {number: path for number, path in found if number is not None}


def _number_of(cv: str, name: str) -> int | None:
    match = re.fullmatch(rf"{re.escape(name)}-cv(\d+)", cv)
    return int(match[1]) if match else None


def _settings(directories: list[Path]) -> dict[str, Any]:
    for path in directories:
        settings = read_json(path / "cv.json").get("settings")
        if isinstance(settings, dict):
            return settings
    return {}


def _planned(settings: dict[str, Any]) -> int:
    return int(settings.get("n_folds") or 0) * len(settings.get("seeds") or ())


def _parameters(table: pd.DataFrame) -> list[str]:
    """Columns between the name of the cross-validation and that of the run."""
    columns = list(table.columns)
    before = columns[: columns.index("run_name")] if "run_name" in columns else columns
    return [str(name) for name in before if name not in NO_PARAMETERS]


def _differing(directories: list[Path]) -> list[str]:
    """Settings in which cross-validations differ: what is searched, while there is no table that says it."""
    seen = [read_json(path / "cv.json").get("settings", {}) for path in directories]
    names = dict.fromkeys(name for settings in seen for name in settings)
    return [name for name in names if len({json.dumps(settings.get(name)) for settings in seen}) > 1]


def _value(value: Any) -> Any:
    """A value of the table as it was: lists are JSON text there, whole numbers beside gaps are floats."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if hasattr(value, "item") else value
