import dataclasses
import json
import math

import pandas as pd
import pytest

from darts_train.artifacts.run_infos import RunRow, read_run_infos
from darts_train.artifacts.run_record import read_record
from darts_train.base.errors import UserError
from darts_train.base.locks import exclusive_lock
from darts_train.experiments import alone
from darts_train.experiments.beside_baseline import beside_cross_validation
from darts_train.experiments.cross_validation import AbandonedError, Plan, cross_validate, fold_count
from darts_train.experiments.scoring import parse_scoring
from darts_train.options.learning import Split
from darts_train.options.searching import Repeats
from darts_train.training.stopping.pruned import PrunedError

from ..artifacts.test_baselines import written
from .stub import DEVICE, TRACKING, execute, iou, make_settings

EMPTY = ["error", "kind"]  # texts of runs that failed; none here, and pandas reads them in another way


def make_plan(tmp_path, **changes):
    values = {
        "name": "c",
        "directory": tmp_path / "c",
        "settings": make_settings(),
        "folds": 2,
        "seeds": (42, 21, 69),
        "rule": parse_scoring(["val/JaccardIndex"], "harmonic"),
        "data_hash": "d",
    }
    return Plan(**{**values, **changes})


def run(plan, execute=execute, **options):
    return cross_validate(plan, DEVICE, TRACKING, execute=execute, **options)


def test_seeds_are_the_outer_loop_and_the_score_is_the_mean(tmp_path):
    plan = make_plan(tmp_path)
    result = run(plan)
    assert list(zip(result.infos["seed"], result.infos["fold"], strict=True)) == [
        (42, 0), (42, 1), (21, 0), (21, 1), (69, 0), (69, 1),
    ]  # fmt: skip
    expected = sum(iou(plan.settings.hyperparameters, f, s) for s in plan.seeds for f in (0, 1)) / 6
    assert result.score == pytest.approx(expected)
    assert result.complete
    assert not result.score_is_unstable
    assert f"score {expected:.4f}" in result.summary()
    for row in result.infos.itertuples():
        directory = tmp_path / "c" / f"{row.run_name}-{row.run_id}"
        assert row.run_name == f"c-run-f{row.fold}s{row.seed}"
        assert row.checkpoint == str(directory / "checkpoints" / "best.ckpt")
        assert read_record(directory).cv_name == "c"
    stored = read_run_infos(plan.directory)
    assert stored[EMPTY].isna().all(axis=None)
    pd.testing.assert_frame_equal(stored.drop(columns=EMPTY), result.infos.drop(columns=EMPTY), check_dtype=False)


def test_the_table_is_there_after_every_run(tmp_path):
    plan = make_plan(tmp_path)
    seen = []

    def watch(*args):
        path = plan.directory / "run_infos.parquet"
        seen.append(len(pd.read_parquet(path)) if path.exists() else 0)
        if path.exists():
            assert pd.read_parquet(path)["score"].isna().all()  # a mean over fewer runs is no score
        return execute(*args)

    run(plan, execute=watch)
    assert seen == [0, 1, 2, 3, 4, 5]


def test_a_second_call_trains_nothing_again(tmp_path):
    first = run(make_plan(tmp_path))
    second = run(make_plan(tmp_path))
    pd.testing.assert_frame_equal(first.infos, second.infos)
    assert [len(path.read_bytes()) for path in (tmp_path / "c").glob("*/epochs.txt")] == [3] * 6


def test_a_failed_run_is_a_row_and_the_others_still_run(tmp_path):
    def fail(place, *args):
        if place.run_name == "c-run-f1s42":
            raise RuntimeError("out of\nmemory")
        return execute(place, *args)

    result = run(make_plan(tmp_path), execute=fail)
    assert not result.complete
    assert math.isnan(result.score)
    assert result.infos["status"].tolist() == ["finished", "failed"] + ["finished"] * 4
    assert result.infos["error"][1] == "RuntimeError: out of memory"
    assert result.infos["score"].isna().all()
    assert "incomplete: 1 runs failed" in result.summary()
    again = run(make_plan(tmp_path))
    assert again.complete
    assert again.infos["status"].eq("finished").all()


def test_an_unstable_run_makes_the_score_unstable(tmp_path):
    def spoil(place, *args):
        result = execute(place, *args)
        if place.run_name == "c-run-f0s21":
            result.metrics = {"val/JaccardIndex": 0.0}
        return result

    result = run(make_plan(tmp_path), execute=spoil)
    assert result.complete
    assert result.score_is_unstable
    assert result.infos["is_unstable"].tolist() == [False, False, True, False, False, False]
    assert result.infos["score_is_unstable"].all()
    assert "unstable: 1 runs" in result.summary()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"settings": make_settings(learning_rate=0.5)}, "learning_rate (0.001 there, 0.5 here)"),
        ({"folds": 3}, "n_folds (2 there, 3 here)"),
        ({"data_hash": "other"}, "data_hash"),
        ({"rule": parse_scoring(["val/Recall"], "min")}, "scoring_metric"),
    ],
)
def test_a_name_used_with_other_settings_is_refused(tmp_path, change, named):
    run(make_plan(tmp_path))
    with pytest.raises(UserError) as caught:
        run(make_plan(tmp_path, **change))
    assert "cross-validation c was made with other settings" in str(caught.value)
    assert named in str(caught.value)


def test_one_made_before_an_option_was_there_has_it_at_its_default(tmp_path):
    run(make_plan(tmp_path))
    path = tmp_path / "c" / "cv.json"
    content = json.loads(path.read_text())
    assert (content["settings"].pop("loss"), content["settings"].pop("loss_options")) == ("focal", None)
    path.write_text(json.dumps(content))
    assert run(make_plan(tmp_path)).complete
    with pytest.raises(UserError, match=r"loss \(focal there, dice here\)"):
        run(make_plan(tmp_path, settings=make_settings(loss="dice")))


def test_settings_without_effect_may_change(tmp_path):
    run(make_plan(tmp_path))
    settings = make_settings().replace({"num_workers": 3, "log_every_n_steps": 1, "train_data_dir": "elsewhere"})
    assert run(make_plan(tmp_path, settings=settings)).complete


@pytest.mark.parametrize("text", ["", "[]", '{"settings": 3}', "{"])
def test_a_spoilt_cv_file_is_named(tmp_path, text):
    run(make_plan(tmp_path))
    (tmp_path / "c" / "cv.json").write_text(text)
    with pytest.raises(UserError, match=r"cv\.json"):
        run(make_plan(tmp_path))


def test_rows_that_are_known_are_not_trained(tmp_path):
    row = RunRow("c-run-f1s42", "aaaaaaaa", 1, 42, "finished", 5.0, "x", None, {"val/JaccardIndex": 0.5})
    told = []
    result = run(make_plan(tmp_path, seeds=(42,)), known={(1, 42): row}, on_row=told.append)
    assert [told_row.fold for told_row in told] == [0]
    assert result.infos["val/JaccardIndex"][1] == 0.5
    assert not list((tmp_path / "c").glob("c-run-f1s42-*"))


def test_work_that_is_somebody_elses_is_given_up_between_runs(tmp_path):
    answers = iter([True, True, True, False])
    told = []
    with pytest.raises(AbandonedError):
        run(make_plan(tmp_path), go_on=lambda: next(answers), on_row=told.append)
    assert len(told) == 1


def test_two_processes_do_not_work_in_one_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(alone, "PATIENCE", 0.3)
    with exclusive_lock(tmp_path / "c" / ".lock", "x"), pytest.raises(alone.BusyError, match="cross-validation c"):
        run(make_plan(tmp_path))


@pytest.mark.parametrize(
    ("n_folds", "method", "expected"),
    [(None, "kfold", 5), (2, "kfold", 2), (5, "region", 5), (None, None, 1), (1, None, 1)],
)
def test_folds_that_are_run(n_folds, method, expected):
    assert fold_count(Repeats(n_folds=n_folds), Split(fold_method=method)) == expected


@pytest.mark.parametrize(("n_folds", "method"), [(6, "kfold"), (2, None)])
def test_more_folds_than_there_are(n_folds, method):
    with pytest.raises(UserError, match="--n-folds"):
        fold_count(Repeats(n_folds=n_folds), Split(fold_method=method))


def test_runs_stand_beside_the_baselines_of_their_folds(tmp_path):
    result = run(make_plan(tmp_path, directory=tmp_path / "_cross_validations" / "c", seeds=(42, 21)))
    assert beside_cross_validation(tmp_path, "c") is None
    written(tmp_path, "aaaaaaaa", None, split_hash="s1", metrics={"val/JaccardIndex": 0.5})
    beside = beside_cross_validation(tmp_path, "c")
    infos = result.infos
    assert beside.network == pytest.approx(infos[infos["fold"] == 1]["val/JaccardIndex"].mean())
    assert (beside.baseline, beside.compared, beside.runs) == (0.5, 2, 4)
    assert beside.summary() in dataclasses.replace(result, beside=beside).summary()
    (damaged,) = (tmp_path / "_cross_validations" / "c").glob("c-run-f1s42-*")
    (damaged / "run.json").write_text("{")
    assert beside_cross_validation(tmp_path, "c").compared == 1
    assert beside_cross_validation(tmp_path, None) is None


class Judge:
    """Stops where it is told to."""

    watches_validations = False

    def __init__(self, after):
        self.after = after
        self.seen = []

    def after_run(self, rows):
        self.seen.append([(row.fold, row.seed) for row in rows])
        return "hopeless" if len(rows) == self.after else None

    def at_validation(self, fold, seed, epochs, metrics):
        raise AssertionError("not asked")


def test_a_judge_ends_it_after_a_run_and_the_runs_are_kept(tmp_path):
    plan, judge = make_plan(tmp_path), Judge(after=2)
    result = run(plan, judge=judge)
    assert judge.seen == [[(0, 42)], [(0, 42), (1, 42)]]
    assert (result.pruned, result.complete, len(result.infos)) == ("hopeless", False, 2)
    assert math.isnan(result.score)
    assert "pruned: hopeless" in result.summary()
    assert list(read_run_infos(plan.directory)["status"]) == ["finished", "finished"]


def test_a_run_that_a_judge_stops_is_a_row_that_says_why(tmp_path):
    def watched(*arguments, on_validation):
        execute(*arguments)  # leaves a record
        raise PrunedError(on_validation(3, {"val/JaccardIndex": 0.1}))

    judge = Judge(after=9)
    judge.watches_validations = True
    judge.at_validation = lambda *seen: f"stopped at {seen}"
    result = run(make_plan(tmp_path), watched, judge=judge)
    assert list(result.infos["status"]) == ["pruned"]
    assert result.infos["val/Recall"][0] > 0.1  # as far as it came
    assert math.isnan(result.score)
    assert result.pruned == result.infos["error"][0] == "stopped at (0, 42, 3, {'val/JaccardIndex': 0.1})"
