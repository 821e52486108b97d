"""An ensemble is made of what its members say out of fold, is one file, and never learns from what tests it."""

import json

import numpy as np
import pytest
import torch

from darts_train.artifacts.out_of_fold import OutOfFold
from darts_train.base.errors import UserError
from darts_train.dataset.reader import TrainData
from darts_train.export.ensemble import build_ensemble, seen_rows
from darts_train.export.fitting.member_scores import difference_interval, member_scores
from darts_train.models.model_file import load_model_file
from darts_train.options.ensembles import Ensemble
from darts_train.options.learning import Split
from tests.support.members import bright_member, codes, probabilities, write_cross_validation, write_member, write_run
from tests.support.sets import make_set

GOOD, LATE, BLIND = (20.0, -10.0), (20.0, -14.0), (0.0, -1.0)  # cuts at half, too late, sees nothing
SPLIT = Split(total_folds=2, data_split_method="sample", data_split_by=("scene03",))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("sets") / "set"
    make_set(path, patches=16, size=32, positives=1.0, nodata=True)
    return path


@pytest.fixture(scope="module")
def cv(root, tmp_path_factory):
    networks = {(0, 42): GOOD, (1, 42): GOOD, (0, 21): BLIND, (1, 21): GOOD}
    return write_cross_validation(tmp_path_factory.mktemp("cvs") / "seeds", root, networks, SPLIT)


def build(out, **settings):
    return build_ensemble(Ensemble(out=out, **settings))


def test_weights_are_between_seeds_and_equal_between_folds(root, cv, tmp_path):
    result = build(tmp_path / "e.ckpt", cv_dir=(cv,))
    weights = dict(zip(result.members, result.weights, strict=True))
    # the blind one of fold 0 is left out; its fold keeps its half
    assert [name.split("run-")[1][:5] for name in weights] == ["f0s42", "f1s21", "f1s42"]
    assert list(weights.values()) == pytest.approx([0.5, 0.25, 0.25], abs=1e-3)
    assert "equal between folds" in result.weighing
    assert result.cut.score > 0.9
    assert result.cut.scenes == 3
    record = load_model_file(tmp_path / "e.ckpt").config["calibration"]
    assert record["log_loss"] < record["log_loss_equal"]
    assert record["fitted_on"]["data_hash"] == TrainData.open(root).data_hash
    assert (record["fitted_on"]["patches"], record["fitted_on"]["scenes"]) == (12, 3)
    assert seen_rows(record["seen"]["rows"], 16).tolist() == [True] * 12 + [False] * 4
    assert "threshold 0." in result.summary()


def test_one_seed_leaves_nothing_to_weigh(root, tmp_path):
    cv = write_cross_validation(tmp_path / "one", root, {(0, 42): GOOD, (1, 42): LATE}, SPLIT)
    result = build(tmp_path / "e.ckpt", cv_dir=(cv,))
    assert result.weights == (0.5, 0.5)
    assert "no two members left out the same patches" in result.weighing
    with pytest.raises(UserError, match="--weights fitted: no two members"):
        build(tmp_path / "f.ckpt", cv_dir=(cv,), weights=("fitted",))
    assert not (tmp_path / "f.ckpt").exists()


def test_cross_validations_are_weighed_as_a_whole(root, tmp_path):
    good, blind = (
        write_cross_validation(tmp_path / name, root, {(0, 42): member, (1, 42): member}, SPLIT)
        for name, member in (("good", GOOD), ("late", LATE))
    )
    result = build(tmp_path / "e.ckpt", cv_dir=(blind, good), weights=("fitted",))
    by_cv = dict(zip(result.members, result.weights, strict=True))
    assert sum(weight for name, weight in by_cv.items() if name.startswith("good")) > 0.9
    assert "fitted for each cross-validation" in result.weighing
    assert sum(result.weights) == pytest.approx(1)


def test_what_was_kept_is_not_computed_again(root, tmp_path):
    """The threshold is that of the kept predictions, which here say otherwise than the networks."""
    cv = write_cross_validation(tmp_path / "kept", root, {(0, 42): BLIND, (1, 42): BLIND}, SPLIT)
    data = TrainData.open(root)
    kept = OutOfFold.create(cv, (16, 1, 32, 32))
    for fold, rows in ((0, range(6)), (1, range(6, 12))):
        said = ((i, np.where(data.read(i)[1] == 1, 0.3, 0.2).astype(np.float32)) for i in rows)
        batches = ((np.array([i]), p[None, None]) for i, p in said)
        kept.write_run(cv / f"kept-run-f{fold}s42-aaaaaaaa", fold, 42, batches)
    for i in range(12):
        kept.write_mean(i, kept.seeds_of(i, [42])[0])
    kept.finish({"data_hash": data.data_hash})
    result = build(tmp_path / "e.ckpt", cv_dir=(cv,))
    assert 0.2 < result.threshold <= 0.3
    assert result.cut.score == 1.0
    hard = build(tmp_path / "h.ckpt", cv_dir=(cv,), votes="hard")
    model = load_model_file(hard.path)
    assert (model.threshold, model.config["vote_thresholds"]) == (0.5, [hard.threshold] * 2)


def test_of_a_search_the_best_cross_validation_is_taken(root, tmp_path):
    for i, score in enumerate((0.3, 0.7, 0.5)):
        write_cross_validation(tmp_path / "t" / f"t-cv{i}", root, {(0, 42): GOOD, (1, 42): GOOD}, SPLIT, score)
    result = build(tmp_path / "e.ckpt", cv_dir=(tmp_path / "t",))
    assert [name[:5] for name in result.members] == ["t-cv1"] * 2
    for path in (tmp_path / "t").glob("*/run_infos.parquet"):
        path.unlink()
    with pytest.raises(UserError, match="no cross-validation of the search"):
        build(tmp_path / "f.ckpt", cv_dir=(tmp_path / "t",))


def test_a_list_with_weights_needs_no_runs(tmp_path):
    paths = [bright_member(tmp_path / f"{name}.ckpt", *member) for name, member in (("a", GOOD), ("b", LATE))]
    result = build(tmp_path / "e.ckpt", models=tuple(paths), weights=("3", "1"), name="both")
    together, x = load_model_file(result.path), codes(0)
    a, b = (probabilities(load_model_file(path), x) for path in paths)
    np.testing.assert_allclose(probabilities(together, x), 0.75 * a + 0.25 * b, atol=1e-5)
    assert (together.config["name"], together.threshold, result.cut) == ("both", 0.5, None)
    assert build(tmp_path / "f.ckpt", models=tuple(paths)).weights == (0.5, 0.5)
    assert len(build(tmp_path / "g.ckpt", models=tuple(paths), weights=("1", "0")).members) == 1


def test_members_beside_the_ensemble_on_what_none_saw(root, cv, tmp_path):
    result = build(tmp_path / "e.ckpt", cv_dir=(cv,), weights=("equal",))
    found = member_scores(result.path, root, range(12, 16))
    assert len(found.members) == 4
    assert found.ensemble > 0.9
    assert min(found.members) == 0
    assert found.interval is None
    with pytest.raises(UserError, match="1 of 2 patches trained or validated"):
        member_scores(result.path, root, [11, 12])
    with pytest.raises(UserError, match="is no ensemble"):
        member_scores(next(cv.glob("*f0s42*/checkpoints/best.ckpt")), root, [12])


def test_the_interval_of_a_difference():
    same = np.tile(np.array([[50, 3], [5, 40]]), (4, 6, 1, 1))
    assert difference_interval(same) == (0, 0)
    same[0, :, 1] += [[-2, 10]]
    low, high = difference_interval(same)
    assert 0 < low <= high


def test_nothing_is_learned_from_what_tests_another(root, tmp_path):
    here, there = tmp_path / "a-run-f0s1-aaaaaaaa", tmp_path / "b-run-f0s1-bbbbbbbb"
    write_run(here, root, 0, 1, GOOD, SPLIT)
    write_run(there, root, 0, 1, GOOD, Split(total_folds=2, data_split_method="sample", data_split_by=("scene00",)))
    with pytest.raises(UserError, match="are of the test part of"):
        build(tmp_path / "e.ckpt", models=(here, there))
    write_run(there, root, 0, 1, GOOD, Split(fold_method=None))
    with pytest.raises(UserError, match="no out-of-fold there"):
        build(tmp_path / "e.ckpt", models=(here, there))
    assert build(tmp_path / "e.ckpt", models=(here, there), weights=("1", "1")).cut is None


def test_bad_input(root, cv, tmp_path):
    model = write_member(tmp_path / "m.ckpt", 0)
    three = write_member(tmp_path / "three.ckpt", 0, classes=("a", "b", "c"))
    ensemble = build(tmp_path / "e.ckpt", models=(model,)).path
    write_member(tmp_path / "copy.ckpt", 0)
    cases = {
        "either --cv-dir or --models": {},
        "3 numbers for 1 networks": {"models": (model,), "weights": ("1", "2", "3")},
        "0 or above": {"models": (model,), "weights": ("-1",)},
        "above 0": {"models": (model, ensemble.parent / "copy.ckpt"), "weights": ("1e308", "1e308")},
        "at least one": {"models": (model,), "weights": ("0",)},
        "neither fitted, nor equal": {"models": (model,), "weights": ("loud",)},
        "three.ckpt: its classes": {"models": (model, three)},
        "would count twice": {"models": (model, model)},
        "is an ensemble itself": {"models": (ensemble,)},
        "in no run directory": {"models": (model,), "weights": ("fitted",)},
        "Runs go to --models": {"cv_dir": (next(cv.glob("*f0s42*")),)},
        "--cv-dir": {"cv_dir": (tmp_path / "absent",)},
        "--train-data-dir": {"cv_dir": (cv,), "train_data_dir": tmp_path / "absent"},
    }
    for words, settings in cases.items():
        with pytest.raises(UserError, match=words):
            build(tmp_path / "new.ckpt", **settings)
    with pytest.raises(UserError, match="--overwrite"):
        build(ensemble, models=(model,))
    before = model.read_bytes()
    with pytest.raises(UserError, match=r"m\.ckpt is a model that the new one is made of; name another file"):
        build(model, models=(model,), overwrite=True)
    assert model.read_bytes() == before
    make_set(tmp_path / "other", patches=16, size=32, seed=5)
    with pytest.raises(UserError, match="is not the set that"):
        build(tmp_path / "new.ckpt", cv_dir=(cv,), train_data_dir=tmp_path / "other")
    assert not (tmp_path / "new.ckpt").exists()


def test_a_cross_validation_that_is_not_finished(root, tmp_path):
    cv = write_cross_validation(tmp_path / "c", root, {(0, 42): GOOD, (1, 42): GOOD}, SPLIT)
    settings = json.loads((cv / "cv.json").read_text())
    settings["settings"]["seeds"] = [42, 21]
    (cv / "cv.json").write_text(json.dumps(settings))
    with pytest.raises(UserError, match="2 of 4 runs are"):
        build(tmp_path / "e.ckpt", cv_dir=(cv,))
