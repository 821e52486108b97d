"""Testing a trained network: what it says, and what it refuses."""

import dataclasses
import json
import logging
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from darts_train.artifacts.patch_errors import read_patch_errors
from darts_train.base.errors import UserError
from darts_train.dataset.reader import TrainData
from darts_train.experiments import evaluate_run
from darts_train.experiments.evaluating import figures as evaluation_figures
from darts_train.experiments.run import test_smp as call_test
from darts_train.options.learning import Artifacts, Data, Device, Split, Tracking
from darts_train.options.learning import Test as RunToTest  # pytest collects what is called Test
from darts_train.training.evaluate import patch_losses
from darts_train.training.pictures import of_samples as sample_figures
from tests.support.runs import run
from tests.support.sets import make_set


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    base = tmp_path_factory.mktemp("test")
    make_set(base / "set", patches=16, size=32)
    run(base / "set", base / "artifacts" / "_cross_validations" / "cv" / "run-aaaaaaaa", t={"max_epochs": 4})
    return base


@pytest.fixture(scope="module", autouse=True)
def few_pictures():
    """Two pictures show what eight show, in a quarter of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation_figures, "WORST_PATCHES", 1)
        patch.setattr(sample_figures, "POSITIVES", 1)
        patch.setattr(sample_figures, "EMPTIES", 1)
        yield


def run_tested(places, data="set", split=None, bands=None, pictures=False, **options):
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        if not pictures:
            patch.setattr(evaluate_run, "draw", lambda *_: None)
        return call_test(
            RunToTest(**{"run_name": "run", "run_id": "aaaaaaaa", **options}),
            Data(train_data_dir=places / data, bands=bands),
            Split(**(split or {})),
            Artifacts(artifact_dir=places / "artifacts"),
            Device(device="cpu"),
            Tracking(),
        )


@pytest.fixture(scope="module")
def result(places, tmp_path_factory):
    """The result of one test, its files set aside: later tests of the same run replace them."""
    found = run_tested(places, split={"data_split_method": "region", "data_split_by": ("Region 1",)}, pictures=True)
    aside = tmp_path_factory.mktemp("aside") / "run"
    shutil.copytree(found.path.parent, aside)
    return dataclasses.replace(found, path=aside / found.path.name)


def test_only_the_test_part_is_tested(result):
    assert result.patches == 8
    assert set(result.per_region) == {"Region 1"}
    assert set(result.per_sample) == {"scene01", "scene03"}


def test_every_patch_has_its_own_loss(result, places):
    table = pd.read_parquet(result.path.parent / "test_patches.parquet")
    metadata = TrainData.open(places / "set").metadata
    assert sorted(table["patch"]) == np.flatnonzero(metadata["region"] == "Region 1").tolist()
    assert table["sample_id"].tolist() == metadata["sample_id"][table["patch"]].tolist()
    assert table["loss"].nunique() == len(table)  # never that of a batch
    assert table[["tp", "fp", "fn"]].sum().tolist() == [
        result.per_region["Region 1"][name] for name in ("tp", "fp", "fn")
    ]
    errors = read_patch_errors(result.path.parent, None, metadata, TrainData.open(places / "set").data_hash)
    assert np.array_equal(errors.values[table["patch"]], table["loss"])
    assert np.isnan(errors.values).sum() == len(metadata) - len(table)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_loss_of_a_patch_is_the_mean_over_its_labelled_pixels(classes):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (3, 1 if classes == 2 else classes, 4, 4))
    y = rng.integers(0, classes, (3, 4, 4))
    y[0, 0], y[2] = 255, 255
    found = patch_losses(torch.tensor(logits), torch.tensor(y, dtype=torch.uint8), 255)
    whole = np.concatenate([np.zeros_like(logits), logits], axis=1) if classes == 2 else logits
    log_probability = whole - np.log(np.exp(whole).sum(axis=1, keepdims=True))
    for patch in range(2):
        picked = [-log_probability[patch, y[patch, i, j], i, j] for i, j in np.argwhere(y[patch] != 255)]
        assert found[patch].item() == pytest.approx(np.mean(picked), rel=1e-9)
    assert torch.isnan(found[2])


def test_regions_and_scenes_add_up(places):
    found = run_tested(places)
    assert found.patches == 16
    for groups in (found.per_region, found.per_sample):
        assert sum(group["patches"] for group in groups.values()) == 16
    scenes = found.per_sample
    low, high = (f(s["JaccardIndex"] for s in scenes.values()) for f in (min, max))
    assert low <= found.metrics["test/JaccardIndex"] <= high
    assert "hardest of 2 regions" in found.summary()


def test_the_files_say_what_the_result_says(result):
    report = json.loads(result.path.read_text())
    assert report["metrics"]["test/JaccardIndex"] == result.metrics["test/JaccardIndex"]
    tp, fp, fn = report["confusion"][1][1], report["confusion"][0][1], report["confusion"][1][0]
    assert result.metrics["test/JaccardIndex"] == pytest.approx(tp / (tp + fp + fn))
    figures = {path.name for path in (result.path.parent / "figures/test-samples").iterdir()}
    drawn = {f"{name}.png" for name in ("confusion", "roc", "precision_recall", "thresholds", "worst_scenes")}
    assert drawn < figures
    assert {name.split("_")[0] for name in figures - drawn} == {"instance", "sample", "worst"}
    assert len(figures) == len(drawn) + 2 + 2 + 1


def test_tables_and_intervals_are_in_the_run(result):
    report = json.loads(result.path.read_text())
    scores = pd.read_parquet(result.path.parent / "test_scores.parquet")
    (whole,) = scores[scores["part"] == "all"].to_dict("records")
    assert whole["JaccardIndex"] == pytest.approx(report["metrics"]["test/JaccardIndex"])
    assert whole["tp"] == report["confusion"][1][1]
    assert set(scores[scores["part"] == "scene"]["name"]) == set(report["per_sample"]) == {"scene01", "scene03"}
    interval = report["interval"]
    assert (interval["metric"], interval["scenes"]) == ("test/JaccardIndex", 2)
    assert interval["low"] <= report["metrics"]["test/JaccardIndex"] <= interval["high"]
    (objects,) = report["objects"].values()
    assert objects == {name: whole[f"objects_{name}"] for name in ("tp", "fp", "fn")}
    tp, extra, missed = objects.values()
    assert report["metrics"]["test/InstanceAccuracy"] == pytest.approx(tp / (tp + extra + missed))
    assert len(pd.read_parquet(result.path.parent / "test_thresholds.parquet")) == 1025


def test_one_scene_has_no_interval(places):
    found = run_tested(places, split={"data_split_method": "sample", "data_split_by": ("scene01",)})
    assert found.interval is None
    assert "no confidence interval of the IoU: one scene" in found.summary()
    assert json.loads(found.path.read_text())["interval"] is None


def test_the_best_threshold_is_no_worse_than_one_half(result):
    default, best = result.thresholds["default"], result.thresholds["best_f1"]
    assert default["JaccardIndex"] == pytest.approx(result.metrics["test/JaccardIndex"])
    assert best["F1Score"] >= default["F1Score"]
    assert "best threshold" in result.summary()


def test_batches_do_not_matter(places, result):
    split = {"data_split_method": "region", "data_split_by": ("Region 1",)}
    other = run_tested(places, split=split, batch_size=3)
    assert other.metrics["test/JaccardIndex"] == pytest.approx(result.metrics["test/JaccardIndex"], abs=1e-3)


def test_patches_seen_in_training_are_said(places, caplog):
    with caplog.at_level(logging.WARNING, logger="darts"):
        run_tested(places)
    assert "was trained on 12 of the 16 test patches" in caplog.text


def test_another_set_with_another_order_of_bands_will_do(places, caplog):
    make_set(places / "wider", patches=8, size=64, bands=5, seed=9)
    with caplog.at_level(logging.WARNING, logger="darts"):
        found = run_tested(places, "wider")
    assert found.patches == 8
    assert "was trained on" not in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"run_id": "aaaaaaab"}, "nearest: run-aaaaaaaa"),
        ({"run_name": "nothing"}, "has no run"),
        ({"bands": ("red", "green", "blue")}, "blue, green, red, in this order"),
        ({"split": {"data_split_method": "region", "data_split_by": ("Nowhere",)}}, "Nowhere"),
    ],
)
def test_what_cannot_be_tested_is_refused(places, options, message):
    with pytest.raises(UserError, match=message):
        run_tested(places, **options)


def test_sets_that_do_not_fit_the_model_are_refused(places):
    make_set(places / "few", patches=8, bands=2)
    with pytest.raises(UserError, match="red not in the set"):
        run_tested(places, "few")
    make_set(places / "three", patches=8, classes=3)
    with pytest.raises(UserError, match="same classes"):
        run_tested(places, "three")


def test_a_checkpoint_that_is_none_is_refused(places, tmp_path):
    (tmp_path / "bad.ckpt").write_bytes(b"not a model")
    with pytest.raises(UserError, match="bad"):
        run_tested(places, model_ckp=tmp_path / "bad.ckpt")
    with pytest.raises(UserError, match="does not exist"):
        run_tested(places, model_ckp=tmp_path / "none.ckpt")
