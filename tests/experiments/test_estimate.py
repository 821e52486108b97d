import dataclasses
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.artifacts.run_infos import RunRow
from darts_train.experiments.searching import estimate
from darts_train.experiments.searching.estimate import (
    HoursTold,
    checkpoint_bytes,
    count_parameters,
    estimate_disk,
    hours,
    megabytes,
    say_disk,
)
from darts_train.options.keeping import Keeping
from darts_train.options.learning import Hyperparameters

from .stub import make_search, make_settings


@pytest.mark.parametrize(("options", "numbers"), [({}, 3), ({"optimizer": "sgd"}, 2), ({"ema_decay": 0.9}, 4)])
def test_a_checkpoint_holds_weights_moments_and_averages(options, numbers):
    assert checkpoint_bytes(1000, Hyperparameters(**options)) == 4 * 1000 * numbers


def test_the_network_is_counted_as_it_was_asked_for():
    options = ("encoder_depth=2", "decoder_channels=48,24")
    cut = make_settings(model_arch="Unet", model_encoder="mobilenet_v2", model_options=options)
    whole = make_settings(model_arch="Unet", model_encoder="mobilenet_v2")
    assert count_parameters(cut) < count_parameters(whole) / 2


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 500), st.one_of(st.none(), st.integers(0, 20)), st.integers(0, 4))
def test_disk_is_that_of_the_trials_that_stay(tmp_path_factory, trials, keep, top):
    search = make_search(tmp_path_factory.getbasetemp(), "t")
    training = dataclasses.replace(search.settings.training, save_top_k=top, max_epochs=10, check_val_every_n_epoch=1)
    search = dataclasses.replace(search, settings=dataclasses.replace(search.settings, training=training))
    disk = estimate_disk(search, trials, keep, [10.0, 30.0])
    stay = trials if keep is None else min(trials, keep + 1)
    assert disk.total == pytest.approx(stay * 4 * (3 + top) * 20)


def test_what_a_search_needs_is_said(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(estimate, "count_parameters", lambda settings: 1_000_000)
    search = make_search(tmp_path, "t")
    say_disk(search, 10, None)
    assert "about 1.9 GB of disk (10 trials × 4 runs × 4 files of 12.0 MB)" in caplog.text
    assert "free" not in caplog.text
    monkeypatch.setattr(estimate, "free_bytes", lambda directory: 100e6)
    say_disk(search, 10, Keeping(keep_checkpoints="top-5"))
    assert "100.0 MB free, which is less; --keep-checkpoints best needs 384.0 MB" in caplog.text
    caplog.clear()
    say_disk(search, None, None)  # without an end there is no sum
    assert not caplog.text


def test_hours_are_said_once_after_the_first_run(caplog):
    caplog.set_level(logging.INFO)
    told = HoursTold()
    told.expect((None, 100, 30), 15)
    told.look(RunRow("a", "b", 0, 42, "failed", 5.0))
    assert not caplog.text
    for _ in range(2):
        told.look(RunRow("a", "b", 0, 42, "finished", 120.0))
    assert caplog.text.count("a trial takes 30 min on one device; 30 trials: 15.0 h") == 1


def test_numbers_for_people():
    assert (hours(0.01), hours(0.5), hours(26)) == ("36 s", "30 min", "26.0 h")
    assert (megabytes(3.24e6), megabytes(1.7e9)) == ("3.2 MB", "1.7 GB")
