"""Runs with other losses, optimisers, schedules and averages: they learn, and one that is stopped ends as if not."""

import os
import signal

import numpy as np
import pytest
import torch

from darts_train.artifacts.run_record import read_record
from darts_train.base.errors import UserError
from darts_train.base.hashes import hash_json
from darts_train.dataset.reader import TrainData
from darts_train.experiments.one_run.settings import DECISIVE, FIRST_HYPERPARAMETERS, prepare_run, run_fingerprint
from darts_train.models.model_file import load_model_file
from darts_train.options.learning import Data, Device, Split
from darts_train.training.checkpoints.checkpoint import progress
from darts_train.training.checkpoints.mid_epoch import MID_EPOCH
from darts_train.training.losses.build import training_pixels
from darts_train.training.module import PLATEAU, SegmentationModule
from darts_train.training.optimising.averaging import TRAINED
from darts_train.training.stopping.termination import EXIT_CODE, Terminated
from darts_train.training.tracking.trackers import read_settings
from tests.support.runs import hyperparameters, learned_rows, run, training
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
    options = {
        "h": BATCH | RECIPES[name],
        "t": {"max_epochs": 2 + ("swa_start_epoch" in RECIPES[name]), "save_top_k": 0},
    }
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
    assert learned_rows(tmp_path / "cut") == learned_rows(tmp_path / "full")


def test_sigterm_while_an_epoch_is_validated_leaves_after_it(root, tmp_path, monkeypatch):
    start = SegmentationModule.on_validation_epoch_start

    def stopped(self):
        os.kill(os.getpid(), signal.SIGTERM)
        start(self)

    monkeypatch.setattr(SegmentationModule, "on_validation_epoch_start", stopped)
    with pytest.raises(Terminated):
        run(root, tmp_path / "cut", h=BATCH, t={"max_epochs": 2})
    assert progress(torch.load(tmp_path / "cut/checkpoints/last.ckpt", weights_only=True)) == (1, 0)
    assert run(root, tmp_path / "cut", h=BATCH, t={"max_epochs": 2}).status == "finished"  # the last epoch ends a run


def test_a_frozen_encoder_leaves_training_as_it_came(root, tmp_path):
    result = run(root, tmp_path / "run", h=BATCH | {"unfreeze_at_epoch": 9}, t={"max_epochs": 1})
    content = torch.load(result.best_checkpoint, weights_only=True)
    first = SegmentationModule(content["hyper_parameters"]["config"], random_seed=42).state_dict()
    changed = {name for name, value in content["state_dict"].items() if not torch.equal(value, first[name])}
    assert changed
    assert not any(name.startswith("model.encoder.") for name in changed)


def test_what_was_left_in_the_middle_of_an_epoch_says_so(root, tmp_path, monkeypatch):
    stopped_at(2, monkeypatch)
    with pytest.raises(Terminated):
        run(root, tmp_path / "cut", h=BATCH, t={"max_epochs": 1})
    content = torch.load(tmp_path / "cut/checkpoints/last.ckpt", weights_only=True)
    assert content[MID_EPOCH]["batches"] == content["global_step"] == 2
    assert content[MID_EPOCH]["samples"] == 2 * BATCH["batch_size"]
    assert progress(content) == (0, 2)


@pytest.fixture(scope="module")
def cut(root, tmp_path_factory):
    """last.ckpt of a run that was stopped after two of the four batches of its first epoch."""
    directory = tmp_path_factory.mktemp("cut") / "run"
    with pytest.MonkeyPatch.context() as patch:
        stopped_at(2, patch)
        with pytest.raises(Terminated):
            run(root, directory, h=BATCH, t={"max_epochs": 1})
    return directory / "checkpoints/last.ckpt"


@pytest.mark.parametrize(
    ("change", "batches", "warning"),
    [
        ({}, [2, 3], ""),
        ({"batch_size": 4}, [0, 1], "(batch_size 2, now 4); that epoch begins anew"),
        ({"accumulate_grad_batches": 2}, [0, 1, 2, 3], "(accumulate_grad_batches 1, now 2); that epoch begins anew"),
    ],
)
def test_an_epoch_left_in_its_middle_goes_on_or_begins_anew(
    root, cut, tmp_path, monkeypatch, caplog, change, batches, warning
):
    """It goes on where its batches are the same; otherwise it begins anew, so that no sample is left out."""
    seen, step = {}, SegmentationModule.training_step

    def watched(self, batch, index):
        seen[index] = batch["index"].tolist()
        return step(self, batch, index)

    monkeypatch.setattr(SegmentationModule, "training_step", watched)
    run(root, tmp_path / "on", h=BATCH | change, t={"max_epochs": 1}, continue_from=cut, run_id="bbbbbbbb")
    samples = [row for rows in seen.values() for row in rows]
    assert list(seen) == batches
    assert len(set(samples)) == len(samples) == (8 if warning else 4)
    assert warning in caplog.text
    assert ("begins anew" in caplog.text) == bool(warning)
    content = torch.load(tmp_path / "on/checkpoints/last.ckpt", weights_only=True)
    steps = len(batches) // change.get("accumulate_grad_batches", 1)
    assert (content["epoch"], content["global_step"]) == (0, 2 + steps)


def test_the_average_is_what_is_saved_and_its_settings_are_recorded(root, tmp_path):
    result = run(root, tmp_path / "run", h=BATCH | RECIPES["ema-onecycle"], t={"max_epochs": 1})
    content = torch.load(result.best_checkpoint, weights_only=True)
    network = load_model_file(result.best_checkpoint).network.state_dict()
    averaged, trained = content["state_dict"], content[TRAINED]
    assert all(torch.equal(network[name.removeprefix("model.")], value) for name, value in averaged.items())
    assert any(not torch.equal(averaged[name], trained[name]) for name in trained)
    module = SegmentationModule.load_from_checkpoint(result.best_checkpoint, weights_only=True)
    assert all(torch.equal(value, averaged[name]) for name, value in module.state_dict().items())
    assert (module.settings.loss_options, module.settings.ema_decay) == (("smooth=1",), 0.9)
    steps = [row["train/learning_rate"] for row in learned_rows(tmp_path / "run") if row["train/loss"]]
    assert steps
    assert all(float(rate) > 0 for rate in steps)


def test_the_weights_chosen_from_the_data_are_recorded_as_numbers(root, tmp_path):
    run(root, tmp_path / "run", h=BATCH | {"loss": "ce", "class_weights": "auto"}, t={"max_epochs": 1})
    recipe = read_settings(tmp_path / "run")["recipe"]
    background, positive = (float(weight) for weight in recipe["class_weights"].split(","))
    assert background + positive == pytest.approx(2)
    assert positive > background
    assert read_record(tmp_path / "run").settings["hyperparameters"]["class_weights"] == "auto"


def test_pixels_are_counted_the_same_with_and_without_their_fractions(root):
    data, rows = TrainData.open(root), [0, 3, 7]
    counted = np.bincount(np.concatenate([data.read(row)[1].ravel() for row in rows]), minlength=256)[:2]
    assert training_pixels(data, rows) == counted.tolist()
    monkey = TrainData.open(root)
    monkey.metadata.drop(columns="class_fractions", inplace=True)
    assert training_pixels(monkey, rows) == counted.tolist()


@pytest.mark.parametrize(
    ("h", "message"),
    [
        ({"loss": "dicce"}, "no loss 'dicce'"),
        ({"loss_options": ("alfa=1",)}, "nearest: alpha"),
        ({"class_weights": "1,2,3"}, "2 classes, and there are 3 weights"),
        ({"betas": "x"}, "--betas"),
        ({"lr_scheduler": "cosine", "lr_options": ("speed=1",)}, "no option 'speed'"),
        ({"swa_start_epoch": 3}, "must be below --max-epochs, 3"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(root, tmp_path, h, message):
    with pytest.raises(UserError, match=message):
        run(root, tmp_path / "run", h=h)
    assert not (tmp_path / "run").exists()


def test_options_that_came_later_leave_the_fingerprint_of_older_runs_alone(root):
    def fingerprint(**changes):
        chosen = hyperparameters(**changes)
        prepared = prepare_run(Data(train_data_dir=root), Split(), chosen, Device(device="cpu"), 0)
        return prepared, run_fingerprint(prepared, chosen, training(), 0, 42)

    prepared, found = fingerprint()
    older = {name: getattr(hyperparameters(), name) for name in FIRST_HYPERPARAMETERS}
    expected = {
        "data": prepared.data.data_hash, "split": prepared.indices.hash, "model": prepared.config,
        "hyperparameters": older, "training": {name: getattr(training(), name) for name in DECISIVE},
        "fold": 0, "seed": 42, "start": None,
    }  # fmt: skip
    assert found == hash_json(expected)
    assert len({found, fingerprint(loss="dice")[1], fingerprint(ema_decay=0.9)[1]}) == 3


def pressed_at(number, patch, again=None):
    """From now on the `number`-th training step, and the one called `again`, are disturbed by Ctrl+C."""
    step, count = SegmentationModule.training_step, [0]

    def counted(self, batch, index):
        count[0] += 1
        if count[0] in (number, again):
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, batch, index)

    patch.setattr(SegmentationModule, "training_step", counted)
    return count


def test_ctrl_c_lets_the_epoch_end_and_a_second_one_does_not(root, tmp_path, monkeypatch):
    options = {"h": BATCH, "t": {"max_epochs": 2, "save_top_k": 0}}
    before = signal.getsignal(signal.SIGINT)
    for again, done in [(2, 0), (None, 1), (None, 2)]:  # of the last epoch nothing is left to do but to say so
        with monkeypatch.context() as patch:
            pressed_at(1, patch, again)
            with pytest.raises(KeyboardInterrupt):
                run(root, tmp_path / "cut", **options)
        assert signal.getsignal(signal.SIGINT) is before
        assert read_record(tmp_path / "cut").status == "interrupted"
        last = tmp_path / "cut/checkpoints/last.ckpt"
        assert (torch.load(last, weights_only=True)["epoch"] + 1 if last.exists() else 0) == done
    with monkeypatch.context() as patch:
        count = pressed_at(10**9, patch)
        assert run(root, tmp_path / "cut", **options).status == "finished"
    assert count == [0]
