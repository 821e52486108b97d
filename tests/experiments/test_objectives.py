"""Several objectives: what a study is told, which trials are preferable to no other, and what a table says of them."""

import dataclasses
import math

import optuna
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.experiments.database.storage import open_database, sqlite_url
from darts_train.experiments.scoring import parse_scoring
from darts_train.experiments.searching.pareto import non_dominated, objectives
from darts_train.experiments.searching.recent_trials import RecentTrials
from darts_train.experiments.searching.sampling import make_sampler
from darts_train.experiments.searching.study import best_trial, front, front_lines
from darts_train.experiments.searching.table import table_path
from darts_train.experiments.space.hyperparameters import parse_hyperparameters
from darts_train.experiments.tune import TuneResult

from .stub import execute, make_search
from .test_runner import runner_of

METRICS = ("val/JaccardIndex", "val/loss:lower")
RATES = (1e-5, 1e-4, 1e-3)


def trade(place, *args):
    """Jaccard grows with the learning rate, and so does the loss; without augmentation both are worse."""
    result = execute(place, *args)
    h = args[2]
    rank = RATES.index(h.learning_rate) + 1
    worse = 0.0 if h.augment else 0.05
    result.metrics = {"val/JaccardIndex": rank / 4 - worse, "val/loss": rank / 10 + worse}
    return result


def search_of(directory, **options):
    table = {"learning_rate": list(RATES), "augment": [True, False]}
    search = make_search(directory, table=table, metrics=METRICS, sampler="grid", folds=1)
    return dataclasses.replace(search, multi_objective=True, **options)


@pytest.fixture
def local(tmp_path):
    return open_database(sqlite_url(tmp_path / "s.db"))


def test_the_front_is_in_results_and_table(tmp_path, local):
    search = search_of(tmp_path)
    runner = runner_of(search, local, trade)
    runner.run(None)
    trials = runner.trials()
    assert [direction.name for direction in runner.study.directions] == ["MAXIMIZE", "MINIMIZE"]
    best = front(search, trials)
    assert {one.parameters["learning_rate"] for one in best} == set(RATES)
    assert all(one.parameters["augment"] for one in best)
    chosen = best_trial(search, trials)
    assert chosen in best
    assert chosen.score == max(one.score for one in best)
    table = pd.read_parquet(table_path(search))
    assert set(table[table["pareto"]]["cv_name"]) == {one.cv_name for one in best}
    assert table.groupby("cv_name")["pareto"].nunique().eq(1).all()
    assert front_lines(best)[0] == "the Pareto front has 3 of them:"
    assert "val/JaccardIndex 0.7500, val/loss 0.3000, score" in "\n".join(front_lines(best))
    again = runner_of(search, local, trade)
    assert again.run(None) == 0
    with pytest.raises(UserError, match="multi_objective"):
        runner_of(dataclasses.replace(search, multi_objective=False), local)


def test_unstable_and_failed_trials_are_on_no_front(tmp_path, local):
    def spoil(place, *args):
        result = trade(place, *args)
        if "-cv0-" in place.run_name:
            result.metrics["val/JaccardIndex"] = math.inf
        if "-cv1-" in place.run_name:
            result.metrics["val/loss"] = 0.0
        if "-cv2-" in place.run_name:
            raise UserError("broken")
        return result

    search = search_of(tmp_path)
    runner = runner_of(search, local, spoil)
    runner.run(None)
    assert [trial.state.name for trial in runner.trials()] == ["FAIL", "COMPLETE", "FAIL"] + ["COMPLETE"] * 3
    assert {one.number for one in front(search, runner.trials())} <= {3, 4, 5}


def test_a_learning_sampler_takes_several_objectives():
    space = parse_hyperparameters({"gamma": {"low": 0.01, "high": 1.0}}, "f")
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=make_sampler("tpe", space))
    kinds = {"gamma": optuna.distributions.FloatDistribution(0.01, 1.0)}
    for _ in range(60):
        trial = study.ask(kinds)
        gamma = trial.params["gamma"]
        study.tell(trial, [-abs(gamma - 0.3), abs(gamma - 0.4)])
    off = [max(0.3 - trial.params["gamma"], trial.params["gamma"] - 0.4, 0.0) for trial in study.trials]
    assert sum(off[30:]) < 0.8 * sum(off[:30])


def test_of_a_long_search_the_best_in_all_objectives_and_the_newest_are_seen():
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.add_trials([optuna.trial.create_trial(values=[-number, number]) for number in range(20)])
    seen = RecentTrials(10).of(study, 20).get_trials()
    assert [trial.number for trial in seen] == [0, 1, 2, 3, 4, 15, 16, 17, 18, 19]


def test_with_one_objective_there_is_no_front(tmp_path, local):
    search = make_search(tmp_path, metrics=("val/JaccardIndex",))
    runner = runner_of(search, local)
    runner.run(1)
    assert front(search, runner.trials()) == []
    assert "pareto" not in pd.read_parquet(table_path(search)).columns
    assert TuneResult.__dataclass_fields__["front"].default == ()


def test_objectives_are_means_over_runs():
    rule = parse_scoring(METRICS, "harmonic")
    infos = pd.DataFrame({"status": "finished", "val/JaccardIndex": [0.2, 0.4], "val/loss": [1.0, 3.0]})
    assert objectives(infos, rule) == pytest.approx([0.3, 2.0])
    infos.loc[1, "status"] = "failed"
    assert all(map(math.isnan, objectives(infos, rule)))
    assert all(map(math.isnan, objectives(pd.DataFrame({"status": ["finished"]}), rule)))


values = st.sampled_from([0.0, 0.5, 1.0, 2.0])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(values, values, values), max_size=12))
def test_a_front_is_what_nothing_dominates(points):
    ways = ("maximize", "minimize", "maximize")
    goods = [(a, -b, c) for a, b, c in points]
    kept = non_dominated(points, ways)
    assert any(kept) or not points
    for good, on in zip(goods, kept, strict=True):
        dominators = [
            other for other in goods if other != good and all(x >= y for x, y in zip(other, good, strict=True))
        ]
        assert on == (not dominators)
