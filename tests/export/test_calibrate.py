"""Temperature and threshold are learned where the network did not learn, and stand in the file that is written."""

import json

import numpy as np
import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.dataset.reader import TrainData
from darts_train.export.calibrate import EDGES, WIDTH, calibrate_threshold, edge_probability, logit_histogram
from darts_train.export.ensemble import build_ensemble
from darts_train.models.model_file import load_model_file
from darts_train.options.ensembles import Calibrate, Ensemble
from darts_train.options.learning import Split
from tests.support.members import bright_member, codes, probabilities, write_run
from tests.support.sets import make_set

SPLIT = Split(total_folds=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=8, size=32, positives=1.0, nodata=True)
    return path


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    """A network that cuts far too late, and is far too sure."""
    directory = tmp_path_factory.mktemp("runs") / "late-aaaaaaaa"
    write_run(directory, root, 0, 1, (200.0, -175.0), SPLIT)
    return directory


def calibrate(out, **settings):
    return calibrate_threshold(Calibrate(out=out, **settings))


def test_the_file_is_calmer_and_cuts_where_it_should(root, run, tmp_path, caplog):
    result = calibrate(tmp_path / "c.ckpt", model=run)
    assert result.cut.edges is not None
    assert "single scene" not in caplog.text
    assert result.patches == 4
    assert result.temperature > 2
    assert result.log_loss[1] < result.log_loss[0]
    assert result.error[1] < result.error[0]
    assert 0 < result.threshold < 0.5
    assert result.cut.score > 0.95
    assert result.figure.read_bytes()[:4] == b"\x89PNG"
    before, after = load_model_file(run / "checkpoints" / "best.ckpt"), load_model_file(result.path)
    x = codes(0)
    p = probabilities(before, x).astype(np.float64).clip(1e-300, 1 - 1e-12)
    calm = 1 / (1 + np.exp(-np.log(p / (1 - p)) / result.temperature))
    seen = (p > 1e-6) & (p < 1 - 1e-4)
    np.testing.assert_allclose(probabilities(after, x)[seen], calm[seen], atol=1e-3)
    assert after.threshold == result.threshold
    record = after.config["calibration"]
    assert record["fitted_on"]["part"] == "val"
    assert record["fitted_on"]["data_hash"] == TrainData.open(root).data_hash
    assert "temperature" in result.summary()
    make_set(tmp_path / "new", patches=8, size=32, positives=1.0, seed=7)
    again = calibrate(tmp_path / "d.ckpt", model=result.path, train_data_dir=tmp_path / "new", part="all")
    assert again.temperature == pytest.approx(result.temperature, rel=0.5)
    make_set(tmp_path / "one", patches=4, size=32, positives=1.0, seed=8, scenes=1)
    one = calibrate(tmp_path / "e.ckpt", model=result.path, train_data_dir=tmp_path / "one", part="all")
    assert one.cut.edges is None
    assert "best one of a single scene" in caplog.text
    with pytest.raises(UserError, match="the network was trained on"):
        calibrate(tmp_path / "f.ckpt", model=result.path, train_data_dir=root, part="all")


def test_an_ensemble_keeps_what_it_says_of_its_members(root, run, tmp_path):
    other = bright_member(tmp_path / "other.ckpt", 40.0, -10.0)
    built = build_ensemble(Ensemble(models=(other, run), weights=("1", "3"), out=tmp_path / "e.ckpt"))
    result = calibrate(tmp_path / "c.ckpt", model=built.path, train_data_dir=root, part="all")
    model = load_model_file(result.path)
    assert model.config["weights"] == [0.25, 0.75]
    assert [one["name"] for one in model.config["calibration"]["members"]] == ["other.ckpt", run.name]
    said = [probabilities(one, codes(1)).astype(np.float64) for one in (load_model_file(built.path), model)]
    before, after = (np.log(1 / one.clip(1e-9, 1 - 1e-9) - 1) for one in said)
    inside = np.abs(before) < 5
    np.testing.assert_allclose(after[inside], before[inside] / result.temperature, atol=1e-2)


def test_edges_of_bins_are_thresholds():
    logits = np.array([[-0.5, 0.0, WIDTH, WIDTH * 1.01, 99.0, -99.0]], np.float32)
    y = np.array([[0, 0, 1, 1, 1, 255]], np.uint8)
    counts = logit_histogram(logits, y)
    assert counts.sum() == 5
    for edge in (EDGES // 2, EDGES // 2 + 1):
        at = (edge - EDGES // 2) * WIDTH
        assert counts[:, edge:].sum(1).tolist() == [int((logits[y == label] > at).sum()) for label in (0, 1)]
    assert edge_probability(EDGES // 2, 3.0) == 0.5


def test_what_may_not_choose(root, run, tmp_path):
    checkpoint = run / "checkpoints" / "best.ckpt"
    (tmp_path / "bare.ckpt").write_bytes(checkpoint.read_bytes())
    make_set(tmp_path / "tested", patches=4, size=32, seed=3)
    cases = {
        "tests nothing any more": {"model": run, "part": "test"},
        "part all: the network was trained on": {"model": run, "part": "all"},
        "lies in no run directory": {"model": tmp_path / "bare.ckpt", "train_data_dir": root},
        "say where it is": {"model": tmp_path / "bare.ckpt"},
        "is not the set of that run": {"model": run, "train_data_dir": tmp_path / "tested"},
        "--model": {"model": tmp_path / "absent"},
    }
    for words, settings in cases.items():
        with pytest.raises(UserError, match=words):
            calibrate(tmp_path / "c.ckpt", **settings)
    for suffix in ("onnx", "safetensors", "JSON"):
        with pytest.raises(UserError, match=r"read as another kind of file.*such as c\.ckpt"):
            calibrate(tmp_path / f"c.{suffix}", model=run)
    (run / "test_metrics.json").write_text(json.dumps({"data_hash": TrainData.open(tmp_path / "tested").data_hash}))
    with pytest.raises(UserError, match="what tests a network chooses no threshold"):
        calibrate(tmp_path / "c.ckpt", model=run, train_data_dir=tmp_path / "tested", part="all")
    (run / "test_metrics.json").unlink()
    with pytest.raises(UserError, match="--overwrite"):
        calibrate(tmp_path / "bare.ckpt", model=run)
    with pytest.raises(UserError, match=r"best\.ckpt is a model that the new one is made of"):
        calibrate(checkpoint, model=run, overwrite=True)
    write_run(tmp_path / "all-aaaaaaaa", root, 0, 1, (20.0, -10.0), Split(fold_method=None))
    with pytest.raises(UserError, match="trained on all that validated it"):
        calibrate(tmp_path / "c.ckpt", model=tmp_path / "all-aaaaaaaa")
    assert not (tmp_path / "c.ckpt").exists()
