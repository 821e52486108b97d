"""{tune_name}.parquet: all runs of a search in one table, with the hyperparameters of each.

Made from the database, not from the directories, for runners may be on machines that share nothing else.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial

from darts_train.artifacts import names
from darts_train.artifacts.run_infos import RunRow, run_infos, write_table
from darts_train.base.locks import exclusive_lock
from darts_train.experiments.sampling import values_of
from darts_train.experiments.scoring import score_runs
from darts_train.experiments.settings import plain
from darts_train.experiments.study import PRUNED, Search, trial_rows


def table_path(search: Search) -> Path:
    """Where the table of a search lies."""
    return search.directory / f"{search.name}.parquet"


def write_search_table(search: Search, read_trials: Callable[[], list[FrozenTrial]]) -> Path:
    """Write the table of all trials that have ended, atomically.

    Trials are read and written under one lock: of two runners of a machine that end together, the later one to write
    is also the later one to read.
    """
    path = table_path(search)
    with exclusive_lock(search.directory / ".table.lock", f"the table of {search.name}", wait=True):
        write_table(path, search_table(search, read_trials()))
    return path


def search_table(search: Search, trials: list[FrozenTrial]) -> pd.DataFrame:
    """Rows of run_infos.parquet of every trial that has ended, with cv_name and one column per hyperparameter.

    Where trials may be stopped, `pruned` says why a trial was. Lists are JSON text; a column whose values are of
    several types is text.
    """
    ended = [(trial, rows) for trial in trials if trial.state.is_finished() and (rows := trial_rows(trial))]
    parts = [_trial_table(search, trial, rows) for trial, rows in ended]
    if not parts:
        return pd.DataFrame({"cv_name": pd.Series(dtype="object"), **{name: [] for name in search.space.parameters}})
    table = pd.concat(parts, ignore_index=True)
    for name in search.space.parameters:
        table[name] = _column(table[name].tolist())
    return table


def _trial_table(search: Search, trial: FrozenTrial, rows: list[RunRow]) -> pd.DataFrame:
    order = {seed: position for position, seed in enumerate(search.seeds)}
    rows.sort(key=lambda row: (order.get(row.seed, len(order)), row.fold))
    runs = [row.metrics if row.status == "finished" else None for row in rows]
    missing = search.folds * len(search.seeds) - len(rows)  # where somebody ended the trial from outside
    score = score_runs([*runs, *[None] * missing], search.rule)
    table = run_infos(rows, score.run_is_unstable[: len(rows)], score.value, score.unstable)
    table.insert(0, "cv_name", names.cv_name(search.name, trial.number))
    if search.pruning:
        table["pruned"] = pd.Series([trial.user_attrs.get(PRUNED)] * len(table), dtype="object")  # why, of its trial
    for position, (name, value) in enumerate(values_of(search.space, trial.params).items(), start=1):
        table.insert(position, name, pd.Series([plain(value)] * len(table), dtype="object"))
    return table


def _column(values: list[Any]) -> pd.Series:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return pd.Series(values, dtype="object")
    if len(kinds) > 1 or list in kinds:
        return pd.Series([value if isinstance(value, str) else json.dumps(value) for value in values], dtype="object")
    return pd.Series(values, dtype="float64" if float in kinds or None in values else None)
