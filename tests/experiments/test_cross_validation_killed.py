"""The public function with real networks, in real processes that are killed."""

import os
import random
import signal
import time

import pandas as pd
import pytest
import torch

from darts_train.artifacts.run_infos import read_run_infos
from darts_train.experiments.cross_validation import cross_validation_smp
from darts_train.options.learning import Artifacts, Data, Device, Split, Tracking
from darts_train.options.searching import CrossValidation, Repeats, Scoring
from tests.support.forking import fork_server
from tests.support.runs import hyperparameters, training, weights_hash
from tests.support.sets import make_set


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


@pytest.fixture(scope="module")
def server():
    with fork_server("tests.support.warm") as server:
        yield server


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_as_if_nobody_had(server, tmp_path):
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
    same = [name for name in infos if name not in ("run_id", "duration", "checkpoint", "error")]
    pd.testing.assert_frame_equal(infos[same], undisturbed.infos[same], check_dtype=False)
    assert infos["score"][0] == undisturbed.score
    directories = [path for path in (tmp_path / "b" / "_cross_validations" / "c").iterdir() if path.is_dir()]
    assert len(directories) == 2
    for ours, theirs in zip(infos["checkpoint"], undisturbed.infos["checkpoint"], strict=True):
        assert weights_hash(ours) == weights_hash(theirs)
