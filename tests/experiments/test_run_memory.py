"""Runs on devices that are too small for a batch: what would fit is said, or the batch is learned in portions."""

import os
import signal
from types import SimpleNamespace

import pytest
import torch

from darts_train.artifacts.run_record import read_record
from darts_train.experiments.failures import failure_kind
from darts_train.training.module import TrainingError
from darts_train.training.stopping.termination import Terminated
from darts_train.training.tracking.metrics_file import read_rows
from tests.support.runs import run
from tests.support.sets import make_set
from tests.support.small_memory import CPU, room_for

FOUR, TWO_EPOCHS = {"batch_size": 4, "learning_rate": 0.001}, {"max_epochs": 2, "log_every_n_steps": 1}
AUTO = TWO_EPOCHS | {"auto_batch": True}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=14, size=32)  # 11 train: two batches of four, and three patches are left over
    return path


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "run"
    with room_for(4) as learned:
        run(root, directory, h=FOUR, t=TWO_EPOCHS)
    return outcome(directory, learned)


def last(directory):
    return torch.load(directory / "checkpoints/last.ckpt", weights_only=True)


def outcome(directory, learned):
    """What portions must not change: the patches of each step, the steps, their rates, the epochs."""
    rows = [(row["epoch"], row["step"], row["learning_rate"]) for row in read_rows(directory / "metrics.csv")]
    return SimpleNamespace(patches=learned, rows=rows, steps=last(directory)["global_step"])


def test_a_batch_is_learned_in_portions_with_the_patches_and_steps_of_the_whole(root, whole, tmp_path, caplog):
    with room_for(2, CPU) as learned, caplog.at_level("WARNING", logger="darts"):
        run(root, tmp_path / "run", h=FOUR, t=AUTO)
    assert "batches of 4 are learned in 2 portions of 2" in caplog.text
    assert outcome(tmp_path / "run", learned) == whole
    assert len(learned) == 16
    record = read_record(tmp_path / "run")
    assert (record.status, record.portions) == ("finished", 2)
    assert last(tmp_path / "run")["hyper_parameters"]["recipe"] == {"accumulate_grad_batches": 2}


def test_memory_that_ends_in_the_middle_costs_no_finished_epoch(root, whole, tmp_path):
    with room_for(lambda call: 4 if call < 4 else 2) as learned:  # in the second step of the second epoch
        run(root, tmp_path / "run", h=FOUR, t=AUTO)
    found = outcome(tmp_path / "run", learned)
    assert (found.rows, found.steps) == (whole.rows, whole.steps)
    assert found.patches == [*whole.patches[:12], *whole.patches[8:]]  # the second epoch is begun again
    assert read_record(tmp_path / "run").portions == 2


def test_an_epoch_that_was_left_in_its_middle_goes_on_in_portions(root, whole, tmp_path):
    def stopped(call):
        if call == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return 4

    with room_for(stopped) as learned, pytest.raises(Terminated):
        run(root, tmp_path / "run", h=FOUR, t=AUTO)
    with room_for(2) as further:
        assert run(root, tmp_path / "run", h=FOUR, t=AUTO).resumed
    assert outcome(tmp_path / "run", learned + further) == whole
    assert read_record(tmp_path / "run").portions == 2


def test_a_run_in_portions_that_was_stopped_goes_on_in_them(root, whole, tmp_path):
    def stopped(call):
        if call == 9:  # 1 was too much, 2 to 5 sought a size; the second portion of the second step is the fourth
            os.kill(os.getpid(), signal.SIGTERM)
        return 2

    with room_for(stopped) as learned, pytest.raises(Terminated):
        run(root, tmp_path / "run", h=FOUR, t=AUTO)
    assert len(learned) % 4 == 0
    with room_for(4) as further:
        run(root, tmp_path / "run", h=FOUR, t=TWO_EPOCHS)
    assert outcome(tmp_path / "run", learned + further) == whole
    assert read_record(tmp_path / "run").portions == 2


def test_without_auto_batch_the_size_that_fits_is_named(root, tmp_path):
    with room_for(2), pytest.raises(TrainingError, match="--batch-size 4; --batch-size 2 fits") as error:
        run(root, tmp_path / "run", h=FOUR)
    assert failure_kind(error.value) == "memory"
    record = read_record(tmp_path / "run")
    assert record.status == "failed"
    assert record.error == str(error.value)


def test_where_nothing_fits_it_is_said(root, tmp_path):
    """One patch would, but batch normalisation of this network needs two."""
    with room_for(1), pytest.raises(TrainingError, match="no smaller one works"):
        run(root, tmp_path / "run", h=FOUR, t={"auto_batch": True})
