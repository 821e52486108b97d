"""Trials that are stopped: the whole of a search with runs that take no time."""

import dataclasses
import math
from types import SimpleNamespace

import optuna
import pandas as pd
import pytest

from darts_train.artifacts.run_infos import RunRow
from darts_train.base.errors import UserError
from darts_train.experiments.pruning.done import what_is_done
from darts_train.experiments.pruning.judge import CURVE, Judges, WatchedRun, record_of
from darts_train.experiments.pruning.rule import PruningRule
from darts_train.experiments.scoring import parse_scoring
from darts_train.experiments.searching.runner import open_runner
from darts_train.experiments.searching.sampling import point
from darts_train.experiments.searching.study import RUN, UNSTABLE, best_trial, pruned_trials, trial_rows
from darts_train.experiments.searching.table import table_path
from darts_train.options.learning import Training
from darts_train.training.stopping.pruned import PrunedError

from .stub import DEVICE, TRACKING, iou, make_search

METRIC = ["val/JaccardIndex"]
EPOCHS = 4


class Runs:
    """Runs whose score rises with their epochs; counts what was trained."""

    def __init__(self):
        self.epochs = []

    def __call__(self, place, data, split, hyperparameters, training, device, tracking, fold, seed, on_validation=None):
        best = iou(hyperparameters, fold, seed)
        for epoch in range(1, training.max_epochs + 1):
            self.epochs.append((place.cv_name, fold, seed, epoch))
            score = best * epoch / training.max_epochs
            metrics = {"val/JaccardIndex": score, "val/loss": 1 - score}
            reason = on_validation(epoch, metrics) if on_validation else None
            if reason and epoch < training.max_epochs:
                raise PrunedError(reason)
        return SimpleNamespace(
            status="finished",
            best_checkpoint=place.directory / "b",
            metrics=metrics,
            last_metrics=metrics,
            duration=1.0,
        )


def search_of(directory, rule, metrics=METRIC, **settings):
    search = make_search(directory, metrics=metrics, seeds=(42,), **settings)
    longer = dataclasses.replace(search.settings, training=Training(max_epochs=EPOCHS))
    return dataclasses.replace(search, settings=longer, pruning=rule)


def runner_of(search, database, execute):
    return open_runner(search, database, DEVICE, TRACKING, execute, 60.0)


def expected(search, number):
    values = search.settings.replace(point(search.space, number))
    return sum(iou(values.hyperparameters, fold, 42) for fold in range(search.folds))


def test_hopeless_trials_are_stopped_and_the_best_is_the_same(tmp_path, local):
    runs = Runs()
    search = search_of(
        tmp_path, PruningRule(folds=True, epochs=True, warmup=2, min_epochs=1, patience=0), ["val/loss:lower"]
    )
    runner = runner_of(search, local, runs)
    runner.run(7)
    trials = runner.trials()
    assert best_trial(search, trials).number == max(range(7), key=lambda number: expected(search, number))
    assert pruned_trials(trials) >= 3
    assert len(runs.epochs) < 0.7 * 7 * search.folds * EPOCHS
    table = pd.read_parquet(table_path(search))
    said = table.loc[table["status"] == "pruned", "error"]
    assert len(said)
    assert said.str.contains("would have gone on").all()
    pruned = [trial for trial in trials if trial.state.name == "PRUNED"]
    assert all(trial.user_attrs["pruned"] and trial.intermediate_values for trial in pruned)
    assert sum(len(runner.rows(trial)) for trial in pruned) == table["cv_name"].isin(
        [f"{search.name}-cv{trial.number}" for trial in pruned]
    ).sum()  # fmt: skip


def test_a_reason_names_runs_and_the_best_trial(tmp_path, local):
    search = search_of(tmp_path, PruningRule(warmup=2))
    runs = Runs()
    runner = runner_of(search, local, runs)
    runner.run(5)
    stopped = [trial for trial in runner.trials() if trial.state.name == "PRUNED"]
    assert stopped
    table = pd.read_parquet(table_path(search))
    assert set(table["reason"].dropna()) == {trial.user_attrs["pruned"] for trial in stopped}
    assert set(table.loc[table["reason"].notna(), "status"]) == {"finished"}
    assert table.loc[table["reason"].notna(), "score"].isna().all()
    for trial in stopped:
        assert "fold 0, seed 42: " in trial.user_attrs["pruned"]
        assert "of trial " in trial.user_attrs["pruned"]
        assert len(runner.rows(trial)) == 1
        assert not any(trial.user_attrs[key]["at"] for key in trial.user_attrs if key.startswith(CURVE))


def test_without_a_rule_nothing_is_watched_and_facts_are_those_of_older_searches(tmp_path, local):
    search = search_of(tmp_path, None)
    assert "pruning" not in search.facts()
    runner = runner_of(search, local, Runs())
    runner.run(2)
    assert not any(key.startswith(CURVE) for trial in runner.trials() for key in trial.user_attrs)
    with pytest.raises(UserError, match="pruning"):
        runner_of(search_of(tmp_path, PruningRule(guard=1.0)), local, Runs())


def test_a_trial_that_was_stopped_before_its_runner_died_stays_stopped(tmp_path, local):
    search = search_of(tmp_path, PruningRule(folds=True, epochs=True, warmup=1, patience=0))
    runner = runner_of(search, local, Runs())
    runner.run(2)
    trial = runner.study.ask()
    plan = search.plan(trial.number, point(search.space, trial.number))
    assert runner.judges.of(trial, plan).at_validation(0, 42, 1, {"val/JaccardIndex": 1e-6}) is not None
    again = runner.judges.of(optuna.trial.Trial(runner.study, trial._trial_id), plan)
    assert again.reason
    assert again.at_validation(0, 42, 2, {"val/JaccardIndex": 0.9}) == again.reason
    assert again.after_run([]) == again.reason


def test_a_database_out_of_reach_stops_nobody(tmp_path, local, monkeypatch, caplog):
    search = search_of(tmp_path, PruningRule(epochs=True, warmup=1, patience=0))
    runner = runner_of(search, local, Runs())
    runner.run(2)
    trial = runner.study.ask()
    judge = runner.judges.of(trial, search.plan(trial.number, point(search.space, trial.number)))

    def gone(*args, **kwargs):
        raise UserError("the database is gone")

    monkeypatch.setattr(type(local), "call", gone)
    assert judge.at_validation(0, 42, 1, {"val/JaccardIndex": 1e-6}) is None


def test_several_objectives_are_refused(local):
    study = optuna.create_study(directions=["maximize", "minimize"])
    with pytest.raises(UserError, match="by one score, and this search has several"):
        Judges(local, study, parse_scoring(METRIC, "harmonic"), PruningRule())


def test_a_curve_is_that_of_the_best_checkpoint_and_goes_on_after_a_kill():
    run = WatchedRun()
    for epochs, monitored, score in ((1, 0.5, 0.4), (2, 0.7, 0.6), (3, 0.6, 0.9), (4, math.nan, 0.9)):
        run.add(epochs, monitored, score)
    assert run.at == [(1, 0.4), (2, 0.6), (3, 0.6), (4, 0.6)]
    again = WatchedRun.from_json(run.to_json())
    assert again == run
    again.add(3, 0.8, 0.9)
    assert again.at == [(1, 0.4), (2, 0.6), (3, 0.9)]
    first = WatchedRun()
    first.add(1, math.nan, None)
    assert WatchedRun.from_json(first.to_json()).at == [(1, None)]


def ended(number, value, unstable=False):
    """A finished trial of two runs, or where it has no value, one that was stopped at 0.3."""
    state = optuna.trial.TrialState.PRUNED if value is None else optuna.trial.TrialState.COMPLETE
    rows = [RunRow("r", "i", fold, 42, "finished", metrics={METRIC[0]: (value or 0) + off}).to_json()
            for fold, off in enumerate((0.02, -0.02))]  # fmt: skip
    attributes = {UNSTABLE: unstable} | {f"{RUN}f{fold}s42": row for fold, row in enumerate(rows)}
    stopped = {1: 0.3} if value is None else {}
    trial = optuna.trial.create_trial(state=state, value=value, user_attrs=attributes, intermediate_values=stopped)
    trial.number = number
    return trial


def test_a_search_is_done_when_more_would_gain_less_than_the_error():
    scoring = parse_scoring(METRIC, "harmonic")
    close = [ended(n, 0.5 + 0.0001 * n) for n in range(19)]
    assert what_is_done(close, scoring, trial_rows) is None  # too few
    reason = what_is_done([*close, ended(19, None)], scoring, trial_rows)
    assert reason.endswith("the standard error of the best score is 0.0200 (trial 18, 2 runs)")
    assert (
        what_is_done([*close, ended(19, 0.9)], scoring, trial_rows) is None
    )  # a new best one says that there may be more
    assert what_is_done([*close, ended(19, 0.9, unstable=True)], scoring, trial_rows) is None
    assert what_is_done([*close, ended(19, 0.5), ended(20, 0.9, unstable=True)], scoring, trial_rows) is not None
    losses = parse_scoring(["val/JaccardIndex:lower"], "harmonic")
    assert what_is_done([*close, ended(19, 0.1)], losses, trial_rows) is None
    assert what_is_done([*close, ended(19, 0.9)], losses, trial_rows) is not None


def test_a_search_that_is_done_begins_nothing(tmp_path, local, monkeypatch):
    runner = runner_of(dataclasses.replace(search_of(tmp_path, None), stop_when_done=True), local, Runs())
    monkeypatch.setattr(
        "darts_train.experiments.searching.runner.what_is_done", lambda trials, rule, rows_of: "so" if trials else None
    )
    assert runner.run(5) == 1
    assert runner.run(5) == 0


def test_a_record_is_what_the_study_says(tmp_path, local):
    scoring = parse_scoring(METRIC, "harmonic")
    search = search_of(tmp_path, PruningRule(folds=True, epochs=True, warmup=1, patience=0))
    runner = runner_of(search, local, Runs())
    runner.run(3)
    judges = Judges(local, runner.study, scoring, search.pruning)
    for trial in runner.trials():
        record = record_of(trial, scoring)
        assert record.complete == (trial.state.name == "COMPLETE")
        if record.complete:
            assert record.score == pytest.approx(trial.value)
            assert len(record.curves[0, 42]) == EPOCHS
            assert not record.curves[1, 42]  # only first runs are watched
    assert [record.number for record in judges.others(2)] == [0, 1]
    assert judges.others(2) == judges.others(2)
