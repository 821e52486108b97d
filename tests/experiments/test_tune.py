import dataclasses
import json
import sys

import pandas as pd
import pytest

from darts_train.artifacts.run_record import read_record
from darts_train.base.errors import UserError
from darts_train.experiments.evaluating import figures as evaluation_figures
from darts_train.experiments.tune import tune_smp
from darts_train.options.learning import Artifacts, Data, Device, Split, Tracking
from darts_train.options.searching import Repeats, Scoring, Tune
from darts_train.training.pictures import of_samples as sample_figures
from tests.support.runs import hyperparameters, training
from tests.support.sets import make_set

from ..artifacts.test_baselines import written
from .stub import execute

SPACE = "hyperparameters:\n  learning_rate: {low: 1e-4, high: 1e-2, distribution: loguniform}\n  batch_size: [2, 4]\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=18, size=32)
    return path


@pytest.fixture
def tune(root, tmp_path):
    """Tune with runs that are no networks, unless `execute` is None."""

    def call(
        space=SPACE,
        hp=None,
        t=None,
        data=None,
        split=None,
        repeats=None,
        scoring=None,
        device="cpu",
        tracking=None,
        **options,
    ):
        path = tmp_path / "hp.yaml"
        path.write_text(space)
        run = options.pop("execute", execute)
        options = {"tune_name": "t", "hpconfig": path, "n_trials": 2, **options}
        return tune_smp(
            Data(train_data_dir=root, **(data or {})),
            Split(**{"total_folds": 3, **(split or {})}),
            hyperparameters(**(hp or {})),
            training(**(t or {})),
            Tune(**options),
            Repeats(**{"n_folds": 2, "n_randoms": 1, **(repeats or {})}),
            Scoring(**(scoring or {})),
            Artifacts(artifact_dir=tmp_path / "a"),
            Device(device=device),
            Tracking(**(tracking or {})),
            execute=run,
        )

    return call


def test_a_tune_finds_the_best_and_writes_its_table(tune, tmp_path):
    result = tune(n_trials=4)
    table = pd.read_parquet(result.table)
    assert result.table == tmp_path / "a" / "t" / "t.parquet"
    assert (result.trials, len(table)) == (4, 8)
    best = table.loc[table["score"].idxmax()]
    assert (result.best_cv, result.best_score) == (best["cv_name"], best["score"])
    assert result.best_parameters["learning_rate"] == best["learning_rate"]
    assert result.best_cv in result.summary()
    directory = tmp_path / "a" / "t" / "t-cv0" / f"{table['run_name'][0]}-{table['run_id'][0]}"
    assert read_record(directory).tune_name == "t"
    assert (tmp_path / "a" / "t" / "sweep.db").is_file()
    assert len(json.loads((tmp_path / "a" / "t" / "leakage.json").read_text())["folds"]) == 2
    infos = pd.read_parquet(tmp_path / "a" / "t" / "t-cv0" / "run_infos.parquet")
    assert set(table.columns) == {*infos.columns, "cv_name", "learning_rate", "batch_size", "reason"}


def test_the_best_stands_beside_the_baselines_of_its_folds(tune, tmp_path):
    written(tmp_path / "a", "aaaaaaaa", None, split_hash="other", metrics={"val/JaccardIndex": 0.5})
    assert tune().beside is None
    written(tmp_path / "a", "bbbbbbbb", None, split_hash="s1", metrics={"val/JaccardIndex": 0.5})
    result = tune()
    iou = pd.read_parquet(result.table).set_index(["cv_name", "fold"])["val/JaccardIndex"][result.best_cv, 1]
    assert (result.beside.network, result.beside.compared, result.beside.runs) == (pytest.approx(iou), 1, 2)
    assert result.beside.summary() in result.summary()


def test_a_search_over_lists_of_augment(tune):
    result = tune("hyperparameters:\n  augment: [true, [D4, Blur], []]\n", n_trials="grid")
    assert set(pd.read_parquet(result.table)["augment"]) == {"true", '["D4", "Blur"]', "false"}
    assert result.best_parameters["augment"] in (True, ("D4", "Blur"), False)
    with pytest.raises(UserError, match="nearest: Blur"):
        tune("hyperparameters:\n  augment: [true, [D4, Blurr]]\n", n_trials="grid", tune_name="u")


def test_a_tracker_that_is_missing_is_named_before_anything_is_made(tune, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match="--tensorboard"):
        tune(tracking={"tensorboard": True})
    assert not (tmp_path / "a").exists()


def test_called_again_it_goes_on_and_further(tune, tmp_path):
    first = tune(n_trials=2)
    assert tune(n_trials=3).trials == 3
    again = tune(n_trials=2)
    assert again.trials == 3
    assert again.best_score >= first.best_score
    assert [len(path.read_bytes()) for path in tmp_path.glob("a/t/*/*/epochs.txt")] == [3] * 6


def test_every_combination_of_a_grid(tune):
    result = tune("hyperparameters:\n  learning_rate: [1e-4, 1e-3]\n  batch_size: [2, 4]\n", n_trials="grid")
    table = pd.read_parquet(result.table)
    assert result.trials == 4
    assert len(table[["learning_rate", "batch_size"]].drop_duplicates()) == 4
    assert result.best_parameters["learning_rate"] == 1e-3


def test_several_objectives_have_a_front_and_the_own_values_come_first(tune):
    options = {"n_trials": 3, "multi_objective": True, "enqueue_default": True, "hp": {"learning_rate": 1e-3}}
    result = tune(**options)
    table = pd.read_parquet(result.table)
    first = table[table["cv_name"] == "t-cv0"]
    assert first[["learning_rate", "batch_size"]].drop_duplicates().values.tolist() == [[1e-3, 4]]
    assert {one.cv_name for one in result.front} == set(table[table["pareto"]]["cv_name"])
    assert result.best_cv in {one.cv_name for one in result.front}
    assert f"the Pareto front has {len(result.front)} of them:" in result.summary()
    assert tune(**options).front == result.front


def test_a_lower_metric_is_minimised(tune):
    result = tune(n_trials=3, scoring={"scoring_metric": ("val/loss:lower",)})
    assert result.best_score == pd.read_parquet(result.table)["score"].min()


def test_nothing_is_best_where_nothing_worked(tune):
    def fail(*args):
        raise UserError("no")

    result = tune(execute=fail, retrain_and_test=True)
    assert (result.best_score, result.best_cv, result.retrain) == (None, None, None)
    assert result.trials_failed == 2
    assert "2 configurations, 2 of them failed" in result.summary()
    assert "none is the best" in result.summary()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"hpconfig": None}, "--hpconfig"),
        ({"tune_name": "_runs"}, "--tune-name"),
        ({"n_trials": "grid"}, "learning_rate is a range"),
        ({"space": "hyperparameters:\n  batch_size: [1]\n", "n_trials": "grid", "sampler": "tpe"}, "--sampler"),
        ({"space": "hyperparameters:\n  model_encoder: [tu-lcnet_035, resnet5O]\n"}, "resnet50"),
        ({"space": "hyperparameters:\n  bands: {value: [b0, b9], distribution: value}\n"}, "b9"),
        ({"space": "hyperparameters:\n  total_folds: [4, 19]\n"}, "total_folds"),
        ({"space": "hyperparameters:\n  resize_to: [32, 33]\n", "n_trials": 1, "t": {"max_epochs": 1}}, None),
        ({"scoring": {"scoring_metric": ("val/IoUU",)}}, "IoUU"),
        ({"scoring": {"scoring_metric": ("val/Recall",)}, "multi_objective": True}, "two or more metrics"),
        ({"multi_objective": True, "sampler": "gp"}, "knows one score"),
        ({"enqueue_default": True, "hp": {"batch_size": 3}}, "batch_size is 3, which is not in the space"),
        ({"repeats": {"n_folds": 4}}, "--n-folds"),
        ({"device": "cuda:77"}, "cuda"),
        ({"split": {"data_split_method": "region", "data_split_by": ("Atlantis",)}}, "Atlantis"),
        ({"data": {"bands": ("nope",)}}, "nope"),
        ({"sweep_db": "postgresql://u:geheim@127.0.0.1:1/x"}, "--sweep-db"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(tune, tmp_path, monkeypatch, options, part):
    monkeypatch.setattr("darts_train.experiments.database.storage.OPENING_PATIENCE", 0.2)
    if part is None:
        assert tune(**options).trials == 1  # one of the points works, and the other is only told of
        return
    with pytest.raises(UserError) as caught:
        tune(**options)
    assert part in str(caught.value)
    assert "geheim" not in str(caught.value)
    assert not (tmp_path / "a").exists()


def test_a_name_used_with_other_settings_is_refused(tune):
    tune(n_trials=1)
    with pytest.raises(UserError, match="max_epochs"):
        tune(n_trials=1, t={"max_epochs": 7})
    with pytest.raises(UserError, match="space of batch_size"):
        tune(SPACE.replace("[2, 4]", "[2, 8]"), n_trials=1)


@pytest.mark.slow
def test_the_best_is_trained_again_and_tested(tune, tmp_path, monkeypatch):
    """Real networks, from the search to the test; one picture of each kind."""
    monkeypatch.setattr(evaluation_figures, "WORST_PATCHES", 1)
    monkeypatch.setattr(sample_figures, "POSITIVES", 1)
    monkeypatch.setattr(sample_figures, "EMPTIES", 1)
    options = {
        "space": "hyperparameters:\n  learning_rate: [1e-9, 1e-2]\n",
        "n_trials": "grid",
        "t": {"max_epochs": 2},
        "repeats": {"n_folds": 1},
        "split": {"data_split_method": "random", "data_split_by": ("0.3",)},
        "scoring": {"scoring_metric": ("val/loss:lower",)},
        "execute": None,
        "retrain_and_test": True,
    }
    result = tune(**options)
    assert result.best_parameters == {"learning_rate": 0.01}
    assert result.retrain.directory.parent == tmp_path / "a" / "t" / "_runs"
    record = read_record(result.retrain.directory)
    assert (record.run_name, record.tune_name, record.cv_name, record.seed) == ("t-retrain", "t", None, 42)
    assert record.settings["split"]["fold_method"] is None
    assert record.settings["hyperparameters"]["learning_rate"] == 0.01
    assert 0 <= result.test.metrics["test/JaccardIndex"] <= 1
    assert json.loads(result.test.path.read_text())
    again = tune(**options)
    assert again.retrain == dataclasses.replace(result.retrain, resumed=True)
    assert again.test.metrics == result.test.metrics


def test_one_option_of_a_list_is_searched(tune):
    space = "hyperparameters:\n  loss_options.gamma: [1.0, 3.0]\n  learning_rate: [1e-4, 1e-3]\n"
    hp = {"loss": "focal-tversky", "loss_options": ("smooth=2.0",)}
    result = tune(space, hp, n_trials="grid", enqueue_default=False)
    table = pd.read_parquet(result.table)
    assert result.trials == 4
    assert set(table["loss_options.gamma"]) == {1.0, 3.0}
    assert result.best_parameters["loss_options.gamma"] in (1.0, 3.0)
