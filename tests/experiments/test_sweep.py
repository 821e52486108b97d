import logging
import re
import shlex
import sys

import pandas as pd
import pytest

from darts_train.base.errors import UserError
from darts_train.experiments.database.storage import database_url, open_database
from darts_train.experiments.searching.study import stored_search, study_names
from darts_train.experiments.sweep import optuna_sweep_smp
from darts_train.options.command_line import command_line
from darts_train.options.learning import Artifacts, Data, Hyperparameters, Split, Tracking
from darts_train.options.searching import Repeats, Scoring, Sweep
from tests.support.runs import hyperparameters, training
from tests.support.sets import make_set

from ..artifacts.test_baselines import written
from .stub import execute

SPACE = """\
name: my-sweep
method: random
metric: {goal: maximize, name: val0/JaccardIndex}
parameters:
  learning_rate: {max: !!float 1e-1, min: !!float 1e-5, distribution: log_uniform_values}
  batch_size: {values: [2, 4]}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=12, size=32)
    return path


@pytest.fixture
def sweep(root, tmp_path):
    def call(space=SPACE, hp=None, scoring=None, tracking=None, **options):
        path = tmp_path / "s.yaml"
        path.write_text(space)
        options = {"sweep_config": path, "n_trials": 1, **options}
        return optuna_sweep_smp(
            Data(train_data_dir=root),
            Split(total_folds=3),
            hyperparameters(**(hp or {})),
            training(),
            Sweep(**options),
            Repeats(n_folds=1, n_randoms=1),
            Scoring(**{"scoring_metric": None, **(scoring or {})}),
            Artifacts(artifact_dir=tmp_path / "a"),
            Tracking(**(tracking or {})),
            execute=execute,
        )

    return call


def options_of(line):
    words = shlex.split(line)
    assert words[:2] == ["darts", "optuna-sweep-smp"]
    return dict(zip(words[2::2], words[3::2], strict=True))


def test_neither_id_nor_device_makes_a_sweep_and_says_how_to_join(sweep, tmp_path):
    made = sweep()
    assert (made.sweep_id, made.trials, made.trials_run) == ("my-sweep", 0, 0)
    assert made.best_score is None
    assert made.join_command in made.summary()
    said = options_of(made.join_command)
    assert said["--sweep-id"] == "my-sweep"
    assert said["--device"] == "auto"
    assert said["--early-stopping-patience"] == "0"
    assert said["--scoring-metric"] == "none"
    joined = sweep(sweep_id=said["--sweep-id"], device="cpu", n_trials=2)
    assert (joined.sweep_id, joined.trials_run) == ("my-sweep", 2)
    table = pd.read_parquet(tmp_path / "a" / "my-sweep" / "my-sweep.parquet")
    assert joined.best_score == table["score"].max() == table["val/JaccardIndex"].max()


def test_a_device_makes_a_sweep_and_runs_it(sweep):
    made = sweep(device="cpu", n_trials=2)
    assert (made.sweep_id, made.trials, made.trials_run) == ("my-sweep", 2, 2)
    assert made.best_parameters.keys() == {"learning_rate", "batch_size"}
    again = sweep(device="cpu", n_trials=1)  # no id: a new sweep, whose name is taken now
    assert re.fullmatch(r"sweep-[a-z]+-[a-z]+", again.sweep_id)
    assert again.trials == 1


def test_an_id_with_a_device_goes_on_even_without_a_file(sweep):
    sweep(device="cpu")
    joined = sweep(sweep_id="my-sweep", device="cpu", n_trials=2, sweep_config=None)
    assert (joined.trials, joined.trials_run) == (3, 2)


def test_an_id_without_a_device_is_an_error(sweep, tmp_path):
    with pytest.raises(UserError, match="needs a --device"):
        sweep(sweep_id="my-sweep")
    assert not (tmp_path / "a").exists()


def test_an_id_that_does_not_exist(sweep, tmp_path, caplog):
    sweep()
    with pytest.raises(UserError, match="no sweep 'my-swep'; nearest: my-sweep"):
        sweep(sweep_id="my-swep", device="cpu", sweep_config=None)
    assert not (tmp_path / "a" / "my-swep").exists()
    with caplog.at_level(logging.WARNING, logger="darts"):
        made = sweep(sweep_id="my-swep", device="cpu")
    assert (made.sweep_id, made.trials) == ("my-swep", 1)
    assert any("nearest: my-sweep" in record.getMessage() for record in caplog.records)


def test_a_new_sweep_needs_a_file(sweep):
    with pytest.raises(UserError, match="--sweep-config"):
        sweep(sweep_config=None, device="cpu")


def test_a_name_that_is_no_directory_gets_a_random_one(sweep):
    assert sweep(SPACE.replace("my-sweep", "my sweep/1")).sweep_id.startswith("sweep-")


def test_the_files_metric_counts_unless_another_is_asked_for(sweep, tmp_path):
    sweep(SPACE.replace("maximize, name: val0/JaccardIndex", "minimize, name: val/loss"))
    sweep(sweep_id="other", device="cpu", scoring={"scoring_metric": ("val/Recall",)})
    sweep(SPACE.replace("metric:", "#"), sweep_id="third", device="cpu")
    stored = [
        stored_search(open_database(database_url(f"sqlite:///{tmp_path}/a/{name}/sweep.db")), name).metrics
        for name in ("my-sweep", "other", "third")
    ]
    assert stored == [("val/loss:lower",), ("val/Recall",), ("val/JaccardIndex", "val/Recall")]


def test_a_grid_runs_until_it_is_done(sweep):
    rate = SPACE.splitlines()[4]
    space = SPACE.replace("random", "grid").replace(rate, "  learning_rate: {value: 1e-3}")
    assert sweep(space, device="cpu", n_trials=1).trials == 1
    assert sweep(space, sweep_id="my-sweep", device="cpu", n_trials=9).trials_run == 1
    random = space.replace("grid", "random")
    assert sweep(random, sweep_id="all", device="cpu", n_trials="grid").trials_run == 2
    with pytest.raises(UserError, match="learning_rate is a range"):
        sweep(device="cpu", n_trials="grid", sweep_id="none")


def test_a_run_cap_holds_for_all_runners(sweep):
    capped = SPACE + "run_cap: 2\n"
    assert sweep(capped, device="cpu", n_trials=5).trials_run == 2
    assert sweep(sweep_id="my-sweep", device="cpu", n_trials=5, sweep_config=None).trials_run == 0
    assert sweep(SPACE + "run_cap: 3\n", sweep_id="my-sweep", device="cpu", n_trials=5).trials_run == 1


def test_who_joins_takes_over_how_the_sweep_was_made(sweep):
    options = {"scoring": {"scoring_metric": ("val/Recall", "val/loss:lower")}, "hp": {"learning_rate": 1e-3}}
    made = sweep(multi_objective=True, enqueue_default=True, device="cpu", **options)
    assert "--multi-objective" in made.join_command
    joined = sweep(sweep_id="my-sweep", device="cpu", **options)
    assert joined.trials == 2
    assert joined.front
    assert "the Pareto front" in joined.summary()


def test_a_runner_with_other_settings_is_refused(sweep):
    sweep()
    with pytest.raises(UserError, match="gamma"):
        sweep(sweep_id="my-sweep", device="cpu", hp={"gamma": 0.5})


def test_several_sweeps_share_a_server_and_its_password_stays_secret(sweep, postgres, tmp_path):
    address = postgres.replace("postgres:", "postgres:geheim", 1)
    made = sweep(sweep_db=address)
    assert "geheim" not in made.summary() + made.storage_url + made.join_command
    assert "in place of ***" in made.summary()
    assert "geheim" not in repr(made)
    assert "my-sweep" in study_names(open_database(database_url(postgres)))
    joined = sweep(sweep_db=postgres, sweep_id="my-sweep", device="cpu", sweep_config=None)
    assert joined.trials_run == 1
    assert not (tmp_path / "a" / "my-sweep" / "sweep.db").exists()
    with pytest.raises(UserError, match="nearest: my-sweep"):
        sweep(sweep_db=postgres, sweep_id="my-sweeep", device="cpu", sweep_config=None)


def test_a_command_line_is_quoted_and_says_what_is_not_default():
    groups = (
        Data(train_data_dir="a b", bands=("red", "nir")),
        Hyperparameters(augment=False, focal_loss_alpha=None, batch_size=6),
    )
    line = command_line("train-smp", *groups, always=("gamma",), model_arch="FPN")
    assert shlex.split(line) == [
        "darts", "train-smp", "--train-data-dir", "a b", "--bands", "red", "--bands", "nir", "--model-arch", "FPN",
        "--no-augment", "--gamma", "0.9", "--batch-size", "6",
    ]  # fmt: skip


def test_a_tracker_that_is_missing_is_named_where_something_runs(sweep, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UserError, match="--mlflow-uri"):
        sweep(device="cpu", tracking={"mlflow_uri": "http://here"})
    assert not (tmp_path / "a").exists()
    assert "--mlflow-uri" in sweep(tracking={"mlflow_uri": "http://here"}).join_command


def test_the_best_trial_stands_beside_a_baseline(sweep, tmp_path):
    written(tmp_path / "a", "aaaaaaaa", None, split_hash="s0", metrics={"val/JaccardIndex": 0.5})
    found = sweep(device="cpu")
    assert found.beside.baseline == 0.5
    assert "pixel baseline: mean IoU 0.5000" in found.summary()
