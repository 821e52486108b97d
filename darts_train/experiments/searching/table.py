"""{tune_name}.parquet: all runs of a search in one table, with the hyperparameters of each.

Made from the database, not from the directories, for runners may be on machines that share nothing else.
"""

import json
import math
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial

from darts_train.artifacts import names
from darts_train.artifacts.run_infos import RunRow, run_infos, write_table
from darts_train.base.locks import exclusive_lock
from darts_train.experiments.database.run_store import PORTION, RunStore
from darts_train.experiments.database.storage import Database
from darts_train.experiments.database.study_sql import count_trials
from darts_train.experiments.scoring import score_runs
from darts_train.experiments.searching.study import PRUNED, Search, front, trial_rows
from darts_train.experiments.settings import plain
from darts_train.experiments.space.stored_values import values_of

REST = 20  # the table is not written again before this many times the seconds that it took: 5 % of a runner's time
LARGE, TRIAL_SECONDS = 500, 0.003  # from how many trials on this matters, and what one takes
NUMBER = "trial number"  # a column that orders the rows, and is not written
Ended = tuple[FrozenTrial, list[RunRow]]


def table_path(search: Search) -> Path:
    """Where the table of a search lies."""
    return search.directory / f"{search.name}.parquet"


class SearchTable:
    """The table of a search as one process knows it: what has ended does not change, and is read once."""

    def __init__(self, search: Search, database: Database) -> None:
        self.search = search
        self._store = RunStore(database, search.name)
        self._table = pd.DataFrame()
        self._known: set[int] = set()
        # A runner that joins a large search trains first: making the table of all that there is takes a while.
        trials = count_trials(database, search.name)
        self._due = time.monotonic() + (REST * TRIAL_SECONDS * trials if trials > LARGE else 0)

    def write_if_due(self, read_trials: Callable[[], list[FrozenTrial]]) -> None:
        """Write the table unless that was done a moment ago; a small one is written each time."""
        if time.monotonic() >= self._due:
            self.write(read_trials)

    def write(self, read_trials: Callable[[], list[FrozenTrial]]) -> Path:
        """Write the table of all trials that have ended, atomically.

        Trials are read and written under one lock: of two runners of a machine that end together, the later one to
        write is also the later one to read.
        """
        started = time.monotonic()
        path = table_path(self.search)
        lock = self.search.directory / ".table.lock"
        with exclusive_lock(lock, f"the table of {self.search.name}", wait=True):
            trials = read_trials()
            self._read(trials)
            best = [one.cv_name for one in front(self.search, trials)] if self.search.multi_objective else []
            write_table(path, finished_table(self.search, self._table, best))
        self._due = time.monotonic() + REST * (time.monotonic() - started)
        return path

    def forget_checkpoints(self, numbers: Collection[int]) -> None:
        """Say of trials, by number, that their checkpoints are gone."""
        if numbers and len(self._table):
            self._table.loc[self._table[NUMBER].isin(list(numbers)), "checkpoint"] = None

    def _read(self, trials: Sequence[FrozenTrial]) -> None:
        new = {trial.number: trial for trial in trials if trial.state.is_finished() and trial.number not in self._known}
        parts = [self._table] if len(self._table) else []
        numbers = sorted(new)
        for start in range(0, len(numbers), PORTION):
            some = numbers[start : start + PORTION]
            stored: dict[int, list[RunRow]] = {}
            for portion in self._store.portions(some[0], some[-1]):
                stored |= portion
            ended = [(new[number], trial_rows(new[number], stored.get(number, ()))) for number in some]
            parts += [part(self.search, ended)] if any(rows for _, rows in ended) else []
        if len(parts) > 1 or not len(self._table):
            self._table = pd.concat(parts, ignore_index=True) if parts else self._table
        self._known |= set(numbers)


def part(search: Search, ended: Sequence[Ended]) -> pd.DataFrame:
    """Rows of run_infos.parquet of trials that have ended, with the trial's number, cv_name and hyperparameters.

    `reason` says why a trial was stopped before its end.
    """
    order = {seed: position for position, seed in enumerate(search.seeds)}
    columns: dict[str, list[Any]] = {NUMBER: [], "cv_name": [], **{name: [] for name in search.space.parameters}}
    all_rows: list[RunRow] = []
    unstable: list[bool] = []
    scores: list[float] = []
    unstable_scores: list[bool] = []
    reasons: list[str | None] = []
    for trial, rows in ended:
        rows = sorted(rows, key=lambda row: (order.get(row.seed, len(order)), row.fold))
        runs = [row.metrics if row.status == "finished" else None for row in rows]
        missing = search.folds * len(search.seeds) - len(rows)  # where it was pruned, or ended from outside
        score = score_runs([*runs, *[None] * missing], search.rule)
        all_rows += rows
        unstable += score.run_is_unstable[: len(rows)]
        scores += [score.value] * len(rows)
        unstable_scores += [score.unstable] * len(rows)
        reasons += [trial.user_attrs.get(PRUNED)] * len(rows)
        values = {NUMBER: trial.number, "cv_name": names.cv_name(search.name, trial.number)}
        values |= values_of(search.space, trial.params)  # without those that were not there
        for name, column in columns.items():
            column += [plain(values.get(name))] * len(rows)
    infos = run_infos(all_rows, unstable, math.nan, False).assign(score=scores, score_is_unstable=unstable_scores)
    infos["reason"] = pd.Series(reasons, dtype="object")
    settings = pd.DataFrame({name: pd.Series(values, dtype="object") for name, values in columns.items()})
    return pd.concat([settings, infos], axis=1)


def finished_table(search: Search, table: pd.DataFrame, best: Sequence[str] = ()) -> pd.DataFrame:
    """The table as it is written, by trial: lists are JSON text; a column whose values are of several types is text.

    `best`: names of the cross-validations that no other one is better than in everything, of several objectives.
    """
    if not len(table):
        return pd.DataFrame({"cv_name": pd.Series(dtype="object"), **{name: [] for name in search.space.parameters}})
    table = table.sort_values(NUMBER, kind="stable", ignore_index=True).drop(columns=NUMBER)
    if search.multi_objective:
        table.insert(1, "pareto", table["cv_name"].isin(best))
    for name in search.space.parameters:
        table[name] = _column(table[name].tolist())
    return table


def _column(values: list[Any]) -> pd.Series:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return pd.Series(values, dtype="object")
    if kinds == {bool} and None in values:
        return pd.Series(values, dtype="boolean")
    if len(kinds) > 1 or list in kinds:
        texts = [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
        return pd.Series(texts, dtype="object")
    return pd.Series(values, dtype="float64" if float in kinds or None in values else None)
