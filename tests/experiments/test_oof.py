"""Out-of-fold predictions: made once per run, by networks that never saw the patch, and what is learned from them."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.artifacts.out_of_fold import OutOfFold, mean_of, open_out_of_fold
from darts_train.artifacts.run_infos import RunRow
from darts_train.base.errors import UserError
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.splits import make_split
from darts_train.experiments.cross_validation import cross_validation_smp
from darts_train.experiments.settings import Settings
from darts_train.experiments.trust.label_audit import audit_patch
from darts_train.experiments.trust.oof import OofMaker
from darts_train.options.learning import Artifacts, Data, Device, Split, Tracking
from darts_train.options.searching import CrossValidation, Repeats, Scoring
from tests.support.runs import hyperparameters, training
from tests.support.sets import make_set

SEEDS = (42, 21)
SPLIT = Split(total_folds=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=12, size=32)
    return path


def predicted(row, seed, y):
    """The label with some doubt, but for patch 3, of which every network says the opposite."""
    sure = 0.9 if seed == 42 else 0.7
    says = (y == 1) != (row == 3)
    return np.where(says, sure, 1 - sure).astype(np.float32)[None]


class Told(OofMaker):
    """Predictions that are no network's."""

    def _batches(self, checkpoint, fold):
        seed = int(checkpoint.name)
        rows = make_split(self.data.metadata, self.settings.split, fold).val
        for row in rows:
            yield np.array([row]), predicted(row, seed, self.data.read(row)[1])[None]


def maker(root, directory, split=SPLIT):
    return Told.open(directory, Settings(Data(train_data_dir=root), split, hyperparameters(), training()), Device())


def rows():
    return [
        RunRow(f"c-run-f{fold}s{seed}", "aaaaaaaa", fold, seed, "finished", 1.0, str(seed))
        for seed in SEEDS for fold in (0, 1)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    directory = tmp_path_factory.mktemp("cv")
    return directory, maker(root, directory).finish(rows())


def test_seeds_are_averaged_and_every_patch_is_there(root, made):
    directory, _ = made
    found, data = open_out_of_fold(directory), TrainData.open(root)
    assert found.rows.tolist() == list(range(12))
    for row, fold in enumerate(found.folds):
        assert row in make_split(data.metadata, SPLIT, int(fold)).val
        y = data.read(row)[1]
        expected = np.mean([predicted(row, seed, y) for seed in SEEDS], axis=0)
        np.testing.assert_allclose(found.read([row])[0], expected, atol=1e-3)
    assert sorted(path.name for path in (directory / "oof.zarr").iterdir()) == ["fold", "probability", "zarr.json"]
    assert found.group["probability"].dtype == np.float16
    assert found.group["probability"].chunks == (1, 1, 32, 32)
    np.testing.assert_array_equal(mean_of([found, found], [0, 5]), found.read([0, 5]))


def test_thresholds_are_pooled_and_the_mislabelled_patch_is_the_worst(root, made):
    directory, result = made
    table = pd.read_parquet(directory / "label_audit.parquet")
    assert (table["patch"][0], table["iou"][0]) == (3, 0.0)
    assert table["disputed_pixels"].tolist() == [32 * 32] + [0] * 11
    assert table["disputed"][0] == pytest.approx(32 * 32 * 0.8, rel=1e-3)
    assert (result.patches, result.disputed) == (12, 1)
    assert (directory / "label_audit.png").read_bytes()[:4] == b"\x89PNG"
    best = result.thresholds["positive"]["best_iou"]
    pixels = TrainData.open(root).read_many(range(12))[1]
    wrong, right = pixels[3], np.delete(pixels, 3, axis=0)
    assert best["JaccardIndex"] == pytest.approx((right == 1).sum() / ((right == 1).sum() + wrong.size))
    assert "10% of the labels disputed in 1 patches" in result.summary()


def test_a_killed_one_goes_on_with_the_next_run(root, tmp_path, made):
    def interrupted():
        first = maker(root, tmp_path)
        first.add(rows()[0])
        torn = make_split(first.data.metadata, SPLIT, 1).val[:2]
        first.out.write_run(tmp_path / "x", 1, 42, ((np.array([i]), np.ones((1, 1, 32, 32))) for i in _until(torn)))

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    second = maker(root, tmp_path)
    assert [second.out.is_done(tmp_path / f"{row.run_name}-aaaaaaaa") for row in rows()] == [True, False, False, False]
    result = second.finish(rows())
    whole, resumed = open_out_of_fold(made[0]), open_out_of_fold(tmp_path)
    np.testing.assert_array_equal(whole.read(range(12)), resumed.read(range(12)))
    assert result.thresholds == made[1].thresholds
    assert maker(root, tmp_path).finish(rows()).thresholds == result.thresholds


def _until(rows):
    yield from rows
    raise KeyboardInterrupt


def test_a_failed_run_makes_it_wait_and_what_is_not_there_is_said(root, tmp_path):
    failed = [*rows()[:3], RunRow("c-run-f1s21", "aaaaaaaa", 1, 21, "failed", error="x")]
    assert maker(root, tmp_path).finish(failed) is None
    with pytest.raises(UserError, match="not all there"):
        open_out_of_fold(tmp_path)
    with pytest.raises(UserError, match="give --oof"):
        open_out_of_fold(tmp_path / "nowhere")
    with pytest.raises(UserError, match="--oof: without --fold-method"):
        maker(root, tmp_path, Split(fold_method=None))
    with pytest.raises(UserError, match="of one set"):
        mean_of([], [0])


def test_predictions_that_are_gone_or_of_another_shape_are_begun_anew(tmp_path):
    first = OutOfFold.create(tmp_path, (4, 1, 2, 2))
    first.write_run(tmp_path / "r", 0, 42, [(np.array([0]), np.zeros((1, 1, 2, 2)))])
    assert OutOfFold.create(tmp_path, (4, 1, 2, 2)).is_done(tmp_path / "r")
    assert not OutOfFold.create(tmp_path, (4, 2, 2, 2)).is_done(tmp_path / "r")


@given(st.integers(1, 3), st.integers(1, 2), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_audit_is_its_definition(seeds, channels, number):
    rng = np.random.default_rng(number)
    p = rng.dirichlet(np.ones(channels + 1), (seeds, 4, 4)).transpose(0, 3, 1, 2).astype(np.float32)
    y = rng.choice([*range(channels + 1), 255], (4, 4)).astype(np.uint8)
    found = audit_patch(p[:, 1:], y, 255)
    disputed, loss, hit, either = 0, [], 0, 0
    for i in range(4):
        for j in range(4):
            label, mean = int(y[i, j]), p[:, :, i, j].mean(0)
            if label == 255:
                continue
            disputed += all(p[s, :, i, j].argmax() != label for s in range(seeds)) * (1 - mean[label])
            loss.append(-np.log(max(mean[label], 1e-4)))
            hit += label > 0 and mean.argmax() == label
            either += label > 0 or mean.argmax() > 0
    assert found["disputed"] == pytest.approx(disputed, abs=1e-5)
    assert found["labelled"] == len(loss)
    if loss:
        assert found["loss"] == pytest.approx(np.mean(loss), rel=1e-4)
    assert found["iou"] == pytest.approx(hit / either) if either else np.isnan(found["iou"])


def test_a_real_cross_validation_keeps_what_its_networks_say(root, tmp_path):
    torch.set_num_threads(1)
    result = cross_validation_smp(
        Data(train_data_dir=root), SPLIT, hyperparameters(), training(max_epochs=1),
        CrossValidation(cv_name="c", oof=True), Repeats(n_randoms=1), Scoring(scoring_metric=("val/JaccardIndex",)),
        Artifacts(artifact_dir=tmp_path), Device(device="cpu"), Tracking(),
    )  # fmt: skip
    found = open_out_of_fold(result.directory)
    assert np.isfinite(found.read(range(12))).all()
    assert result.oof.patches == 12
    assert "out-of-fold predictions of 12 patches" in result.summary()
    y = TrainData.open(root).read_many(found.rows)[1]
    for row in result.infos.itertuples():
        of_fold = np.flatnonzero(found.folds == row.fold)
        says, truth = found.read(of_fold)[:, 0] > 0.5, y[of_fold] == 1
        iou = (says & truth).sum() / (says | truth).sum()
        assert iou == pytest.approx(result.infos.loc[row.Index, "val/JaccardIndex"], abs=2e-3)
    certificate = json.loads((result.directory / "leakage.json").read_text())
    assert certificate["folds"][0]["shared"][0]["pixels"] == 0
