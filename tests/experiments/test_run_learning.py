"""Runs with other losses, optimisers, schedules and averages: they learn, and one that is stopped ends as if not."""

import os
import signal

import pytest
import torch

from darts_train.artifacts.run_record import read_record
from darts_train.base.errors import UserError
from darts_train.experiments.run_settings import prepare_run, run_fingerprint
from darts_train.options.learning import Data, Device, Split
from darts_train.training.averaging import TRAINED
from darts_train.training.module import PLATEAU, SegmentationModule
from darts_train.training.termination import EXIT_CODE, Terminated
from tests.support.runs import hyperparameters, run, training
from tests.support.sets import make_set

BATCH = {"batch_size": 2, "model_encoder": "tu-lcnet_035"}
RECIPES = {
    "ema-onecycle": {
        "loss": "dice:0.5+focal:0.5", "loss_options": ("smooth=1",), "lr_scheduler": "onecycle", "ema_decay": 0.9,
        "accumulate_grad_batches": 2, "gradient_clip": 1.0, "decay_norms": False, "layer_decay": 0.8,
    },
    "swa-plateau": {
        "loss": "bce", "loss_options": ("pos_weight=auto",), "lr_scheduler": "plateau", "lr_options": ("patience=0",),
        "swa_start_epoch": 1, "optimizer": "sgd", "unfreeze_at_epoch": 1,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=10, size=32, nodata=True)
    return path


def stopped_at(number, patch):
    """From now on the `number`-th training step of a process sends it SIGTERM, as a scheduler does."""
    step, count = SegmentationModule.training_step, [0]

    def counted(self, batch, index):
        count[0] += 1
        if count[0] == number:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, index)

    patch.setattr(SegmentationModule, "training_step", counted)


def states(directory):
    """Everything of last.ckpt that decides how a run goes on."""
    content = torch.load(directory / "checkpoints/last.ckpt", weights_only=True)
    keys = ("state_dict", TRAINED, "optimizer_states", PLATEAU, "epoch", "global_step")
    return {key: content[key] for key in keys if key in content}


def assert_same(found, expected):
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, list | tuple):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert found == expected


@pytest.mark.parametrize("name", RECIPES)
def test_sigterm_saves_the_step_and_the_run_goes_on_bit_for_bit(root, tmp_path, monkeypatch, name):
    options = {"h": BATCH | RECIPES[name], "t": {"max_epochs": 3, "save_top_k": 0}}
    full = run(root, tmp_path / "full", **options)
    handler = signal.getsignal(signal.SIGTERM)
    for step in (2, 4):  # in the first epoch; in the second
        with monkeypatch.context() as patch:
            stopped_at(step, patch)
            with pytest.raises(Terminated) as end:
                run(root, tmp_path / "cut", **options)
        assert end.value.code == EXIT_CODE == 143
        assert read_record(tmp_path / "cut").status == "interrupted"
        assert signal.getsignal(signal.SIGTERM) is handler
    result = run(root, tmp_path / "cut", **options)
    assert (result.resumed, result.metrics) == (True, full.metrics)
    assert_same(states(tmp_path / "cut"), states(tmp_path / "full"))
    assert (tmp_path / "cut/metrics.csv").read_bytes() == (tmp_path / "full/metrics.csv").read_bytes()
