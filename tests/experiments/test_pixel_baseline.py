"""Boosted trees on pixels: what they score, what they leave, and how they stand beside a network."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from darts_train.artifacts.baselines import BaselineRecord
from darts_train.base.errors import UserError
from darts_train.dataset.pixel_table import PixelTable
from darts_train.dataset.reader import TrainData
from darts_train.experiments import evaluate_run
from darts_train.experiments.beside_baseline import with_baseline
from darts_train.experiments.pixel_baseline import train_pixel_baseline
from darts_train.experiments.run import test_smp as call_test
from darts_train.options.baseline import Baseline
from darts_train.options.learning import Artifacts, Data, Device, Split, Tracking
from darts_train.options.learning import Test as RunToTest
from darts_train.training.pixel_network import PixelNetwork, fit_pixels
from tests.support.runs import run
from tests.support.sets import make_set

SPLIT = {"data_split_method": "region", "data_split_by": ("Region 1",), "total_folds": 2}


def baseline(root, artifacts, split=None, data=None, **options):
    return train_pixel_baseline(
        Baseline(**{"boosting_rounds": 10, "run_name": "base", **options}),
        Data(train_data_dir=root, **(data or {})),
        Split(**(SPLIT if split is None else split)),
        Artifacts(artifact_dir=artifacts),
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    root = tmp_path_factory.mktemp("baseline")
    make_set(root / "set", patches=16, size=32, nodata=True)
    return root


@pytest.fixture(scope="module")
def result(base):
    return baseline(base / "set", base / "artifacts")


def test_bright_discs_are_told_from_dark_ground(result):
    assert result.metrics["test/JaccardIndex"] > 0.95
    assert result.metrics["val/JaccardIndex"] > 0.95
    assert result.metrics["val/loss"] < 0.3
    assert f"test/JaccardIndex {result.metrics['test/JaccardIndex']:.4f}" in result.summary()


def test_the_directory_says_everything(base, result):
    data = TrainData.open(base / "set")
    record = BaselineRecord.model_validate_json(result.path.read_bytes())
    split = pd.read_parquet(result.directory / "split.parquet")
    assert (record.data_hash, record.bands) == (data.data_hash, ("blue", "green", "red"))
    assert split["test"].sum() == 8
    assert split["train"].sum() + split["val"].sum() == 8
    valid = 32 * 31 * int(split["train"].sum())  # the left column is ignored
    assert sum(all_ for all_, _ in record.pixels.values()) == valid
    assert record.metrics == pytest.approx(result.metrics)


def test_the_same_seed_gives_the_same_trees(base, result, tmp_path):
    again = baseline(base / "set", tmp_path)
    assert again.metrics == result.metrics
    assert again.run_id != result.run_id


def test_pixels_are_bounded(base, tmp_path):
    few = baseline(base / "set", tmp_path, pixels_per_class=50, ring_width=2)
    assert [kept for _, kept in few.pixels.values()] == [50, 50, 50]


def test_several_classes(tmp_path):
    make_set(tmp_path / "set", patches=12, size=32, classes=3)
    found = baseline(tmp_path / "set", tmp_path / "artifacts")
    assert found.metrics["test/JaccardIndex"] > 0.7
    assert "test/JaccardIndex_class2" in found.metrics


def test_training_pixels_of_one_class_are_refused(tmp_path):
    make_set(tmp_path / "set", patches=8, size=32, positives=0.0)
    with pytest.raises(UserError, match="1 of 2 classes"):
        baseline(tmp_path / "set", tmp_path / "artifacts", split={"total_folds": 2})
    assert not (tmp_path / "artifacts").exists()


def test_xgboost_is_imported_when_asked_for(base, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(UserError, match=r"darts-train\[xgboost\]"):
        baseline(base / "set", tmp_path, pixel_model="xgboost")
    asked = {}

    def classifier(**options):
        from sklearn.tree import DecisionTreeClassifier

        asked.update(options)
        return DecisionTreeClassifier(max_depth=3)

    monkeypatch.setitem(sys.modules, "xgboost", SimpleNamespace(XGBClassifier=classifier))
    found = baseline(base / "set", tmp_path, pixel_model="xgboost")
    assert (asked["n_estimators"], asked["random_state"]) == (10, 42)
    assert found.metrics["test/JaccardIndex"] > 0.9


def test_a_network_of_pixels_keeps_probabilities_and_the_order_of_classes():
    given = np.array([[0.2, 0.8], [1.0, 0.0], [0.5, 0.5], [0.9, 0.1]])
    trees = SimpleNamespace(predict_proba=lambda pixels: given[pixels[:, 0].astype(int)])
    x = torch.arange(4.0).reshape(1, 1, 2, 2)
    logits = PixelNetwork(trees, np.array([0, 1], np.uint8), 2)(x)
    assert logits.shape == (1, 1, 2, 2)
    assert logits.sigmoid().flatten().numpy() == pytest.approx(given[:, 1], abs=1e-5)
    assert (logits[0, 0] > 0).tolist() == [[True, False], [False, False]]
    logits = PixelNetwork(trees, np.array([0, 2], np.uint8), 4)(x)
    assert logits.shape == (1, 4, 2, 2)
    assert logits.softmax(1)[0, 2].flatten().numpy() == pytest.approx(given[:, 1], abs=1e-4)


def test_weights_of_pixels_move_the_probability():
    x = np.zeros((40, 1), np.float32)
    y = np.repeat([0, 1], 20).astype(np.uint8)
    weight = np.where(y == 0, 3.0, 1.0)
    network = fit_pixels(PixelTable(x, y, weight / weight.mean(), {}), 2, "trees", 50, 0)
    assert float(network(torch.zeros(1, 1, 1, 1)).sigmoid()) == pytest.approx(0.25, abs=0.01)
    network = fit_pixels(PixelTable(x, y, weight / weight.mean(), {}), 2, "trees", 50, 0, balanced=True)
    assert float(network(torch.zeros(1, 1, 1, 1)).sigmoid()) == pytest.approx(0.5, abs=0.01)


def tried(base, split, monkeypatch):
    monkeypatch.setattr(evaluate_run, "draw", lambda *_: None)
    return call_test(
        RunToTest(run_name="run", run_id="aaaaaaaa"),
        Data(train_data_dir=base / "set"),
        Split(**split),
        Artifacts(artifact_dir=base / "artifacts"),
        Device(device="cpu"),
        Tracking(),
    )


def test_a_tested_network_stands_beside_the_baseline_of_its_split(base, result, monkeypatch):
    trained = run(base / "set", base / "artifacts" / "_runs" / "run-aaaaaaaa", t={"max_epochs": 1}, split=SPLIT)
    validated = f"IoU {result.metrics['val/JaccardIndex']:.4f} on the same patches"
    assert validated in with_baseline(trained, base / "artifacts").summary()
    assert "pixel baseline" not in with_baseline(trained, base / "elsewhere").summary()
    found = tried(base, SPLIT, monkeypatch)
    iou = result.metrics["test/JaccardIndex"]
    assert f"pixel baseline base (trees): IoU {iou:.4f} on the same patches" in found.summary()
    assert json.loads(found.path.read_text())["baseline"]["run_id"] == result.run_id
    other = tried(base, SPLIT | {"data_split_by": ("Region 0",)}, monkeypatch)
    assert other.baseline is None
    assert "pixel baseline" not in other.summary()
