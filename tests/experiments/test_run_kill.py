"""Runs and cross-validations that are killed (SIGKILL, as the kernel does) and called again end as if nothing had been.

The killed processes are forked from a server that has imported everything (`support/warm.py`), so that ten of them
take seconds.
"""

import os
import random
import signal
import time

import pandas as pd
import pytest
import torch

from darts_train.artifacts.run_infos import read_run_infos
from darts_train.artifacts.run_record import read_record
from darts_train.experiments.cross_validation import cross_validation_smp
from darts_train.options.learning import Artifacts, Data, Device, Split, Tracking
from darts_train.options.searching import CrossValidation, Repeats, Scoring
from darts_train.training.tracking.metrics_file import read_rows
from tests.support.forking import fork_server
from tests.support.runs import hyperparameters, learned_rows, run_and_die, training, weights_hash
from tests.support.sets import make_set

OPTIONS = {"t": {"max_epochs": 4, "check_val_every_n_epoch": 2, "save_top_k": 2}}

# The files that a run renames into place: run.json, split.parquet, metrics.csv, hparams.yaml (1 to 4); then per epoch
# last.ckpt, and before it, after every second epoch, best.ckpt (where it is one) and the top-k file. At last run.json.
CHAIN = [
    "before 1",  # nothing is there
    "after 2",
    "torn 1",  # in the first row of metrics.csv
    "after 5",  # the first last.ckpt is there; from here on the second epoch
    "before 5",  # its best.ckpt is not
    "after 5",  # best.ckpt is, last.ckpt is of the epoch before
    "after 6",  # the top-k file is, too
    "after 7",  # all three are; from here on the third epoch
    "torn 2",  # in its row of metrics.csv
    "after 5",
]


@pytest.fixture(scope="module")
def server():
    with fork_server("tests.support.warm") as server:
        yield server


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=10, size=32)
    return path


@pytest.fixture(scope="module")
def undisturbed(server, root, tmp_path_factory):
    directory = tmp_path_factory.mktemp("full") / "run-aaaaaaaa"
    assert call(server, root, directory, "") == 0
    return directory


def call(server, root, directory, death):
    return server.call(run_and_die, root, directory, death, OPTIONS)


def assert_same(directory, expected):
    for name in ("best.ckpt", "last.ckpt"):
        assert weights_hash(directory / "checkpoints" / name) == weights_hash(expected / "checkpoints" / name)
    names = [sorted(path.name for path in (d / "checkpoints").iterdir()) for d in (directory, expected)]
    assert names[0] == names[1]
    assert learned_rows(directory) == learned_rows(expected)
    ours, theirs = read_record(directory), read_record(expected)
    assert (ours.status, ours.best_metrics, ours.last_metrics) == ("finished", theirs.best_metrics, theirs.last_metrics)
    assert not list(directory.rglob("*.tmp"))


def test_an_undisturbed_run_has_every_epoch(undisturbed):
    epochs = [row["epoch"] for row in read_rows(undisturbed / "metrics.csv") if row["learning_rate"]]
    assert epochs == [str(epoch) for epoch in range(4)]


def test_three_kills_change_nothing(server, root, undisturbed, tmp_path):
    directory = tmp_path / "run-aaaaaaaa"
    for death in ("torn 4", "before 7", "after 7"):  # in a row of metrics; between best and last; after last
        assert call(server, root, directory, death) == -signal.SIGKILL
        record = read_record(directory)
        assert record.status == "running"
    assert call(server, root, directory, "") == 0
    assert_same(directory, undisturbed)


@pytest.mark.slow
def test_ten_kills_change_nothing(server, root, undisturbed, tmp_path):
    directory = tmp_path / "run-aaaaaaaa"
    kills = [call(server, root, directory, death) for death in CHAIN]
    assert kills == [-signal.SIGKILL] * 10
    assert call(server, root, directory, "") == 0
    assert_same(directory, undisturbed)


@pytest.mark.slow
def test_kills_at_any_time_change_nothing(server, root, undisturbed, tmp_path):
    directory = tmp_path / "run-aaaaaaaa"
    times = random.Random(1)
    for _ in range(4):
        process = server.start(run_and_die, root, directory, "", OPTIONS)
        time.sleep(times.uniform(0.3, 2.5))
        process.kill()
        process.join()
    assert call(server, root, directory, "") == 0
    assert_same(directory, undisturbed)


def cross_validate(root, artifacts):
    torch.set_num_threads(1)
    return cross_validation_smp(
        Data(train_data_dir=root),
        Split(total_folds=3),
        hyperparameters(),
        training(max_epochs=2),
        CrossValidation(cv_name="c"),
        Repeats(n_folds=2, n_randoms=1),
        Scoring(),
        Artifacts(artifact_dir=artifacts),
        Device(device="cpu"),
        Tracking(),
    )


@pytest.mark.slow
def test_a_cross_validation_killed_at_random_moments_ends_as_if_nobody_had(server, tmp_path):
    make_set(tmp_path / "set", patches=12, size=32)
    undisturbed = cross_validate(tmp_path / "set", tmp_path / "a")
    chance, kills = random.Random(3), 0
    while True:
        process = server.start(cross_validate, tmp_path / "set", tmp_path / "b")
        deadline = time.monotonic() + (chance.uniform(0.5, 3.0) if kills < 3 else 200.0)
        while process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        if not process.is_alive():
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        kills += 1
    assert process.exitcode == 0
    assert kills > 0
    infos = read_run_infos(tmp_path / "b" / "_cross_validations" / "c")
    same = [name for name in infos if name not in ("run_id", "duration", "checkpoint", "error", "kind")]
    pd.testing.assert_frame_equal(infos[same], undisturbed.infos[same], check_dtype=False)
    assert infos[["error", "kind"]].isna().all(axis=None)
    assert infos["score"][0] == undisturbed.score
    directories = [path for path in (tmp_path / "b" / "_cross_validations" / "c").iterdir() if path.is_dir()]
    assert len(directories) == 2
    for ours, theirs in zip(infos["checkpoint"], undisturbed.infos["checkpoint"], strict=True):
        assert weights_hash(ours) == weights_hash(theirs)
