import dataclasses

import pandas as pd
import pytest

from darts_train.artifacts.kept import remove_checkpoints, require_kept
from darts_train.artifacts.run_infos import read_run_infos
from darts_train.artifacts.run_record import read_record
from darts_train.base.errors import UserError
from darts_train.experiments.searching import versions
from darts_train.experiments.searching.preparation import require_no_other
from darts_train.experiments.searching.runner import open_runner
from darts_train.experiments.searching.study import stored_search
from darts_train.experiments.searching.table import table_path
from darts_train.models.locate import locate_model
from darts_train.options.keeping import Keeping

from .stub import DEVICE, TRACKING, execute, make_search

METRIC = ["val/JaccardIndex"]


def with_files(place, *args):
    """The stub, with checkpoints."""
    result = execute(place, *args)
    for name in ("best.ckpt", "last.ckpt", "previous.ckpt"):
        result.best_checkpoint.parent.mkdir(exist_ok=True)
        result.best_checkpoint.with_name(name).write_text("weights")
    return result


def run(directory, database, keep, count, execute=with_files, **options):
    search = make_search(directory, "t", folds=1, seeds=(42, 21), metrics=METRIC, **options)
    runner = open_runner(search, database, DEVICE, TRACKING, execute, keeping=Keeping(keep_checkpoints=keep))
    runner.run(count)
    return runner


def kept(runner):
    """Numbers of trials whose runs all have their checkpoints; part of them is never left."""
    found = {}
    for directory in runner.search.directory.glob("*/*-run-*"):
        files = len(list(directory.glob("checkpoints/*.ckpt")))
        assert files in (0, 3)
        found.setdefault(int(directory.parent.name.rpartition("cv")[2]), set()).add(files > 0)
    assert all(len(kinds) == 1 for kinds in found.values())
    return {number for number, kinds in found.items() if True in kinds}


@pytest.mark.parametrize(("words", "count"), [("all", 3), ("best", 1), ("top-2", 2)])
def test_the_best_trials_keep_their_checkpoints(tmp_path, local, words, count):
    runner = run(tmp_path, local, words, 3)
    ranked = sorted(runner.trials(), key=lambda trial: -trial.value)
    assert kept(runner) == {trial.number for trial in ranked[:count]}
    table = pd.read_parquet(table_path(runner.search)).set_index("cv_name")["checkpoint"]
    for trial in ranked:
        stays = trial in ranked[:count]
        directory = runner.search.directory / f"t-cv{trial.number}"
        assert all((row.checkpoint is not None) == stays for row in runner.rows(trial))
        assert read_run_infos(directory)["checkpoint"].notna().tolist() == [stays] * 2
        assert table[f"t-cv{trial.number}"].notna().tolist() == [stays] * 2


def test_a_trial_that_waits_keeps_what_it_goes_on_from(tmp_path, local):
    def interrupt(place, *args):
        if place.run_name.endswith("cv0-run-f0s21"):
            raise KeyboardInterrupt
        return with_files(place, *args)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, local, "none", 1, interrupt)
    waiting = next(tmp_path.glob("t/t-cv0/*s42*/checkpoints"))
    assert len(list(waiting.glob("*.ckpt"))) == 3
    runner = run(tmp_path, local, "none", 2)
    assert kept(runner) == set()
    assert [trial.state.name for trial in runner.trials()] == ["COMPLETE"] * 2


def test_trials_of_earlier_calls_are_tidied_too_and_a_lower_metric_is_understood(tmp_path, local):
    search = make_search(tmp_path, "t", folds=1, seeds=(42,), metrics=["val/loss:lower"])
    open_runner(search, local, DEVICE, TRACKING, with_files).run(3)
    runner = open_runner(search, local, DEVICE, TRACKING, with_files, keeping=Keeping(keep_checkpoints="best"))
    runner.run(1)
    assert kept(runner) == {min(runner.trials(), key=lambda trial: trial.value).number}


def test_what_was_not_kept_is_said_so(tmp_path, local):
    runner = run(tmp_path, local, "none", 1)
    cv = runner.search.directory / "t-cv0"
    place = next(cv.glob("*-run-*"))
    assert read_record(place).best_checkpoint is None
    for where in (place, cv):
        with pytest.raises(UserError, match=r"not kept.*--keep-checkpoints none of t"):
            locate_model(where)
    with pytest.raises(UserError, match="--run-name"):
        require_kept(place, "--run-name")
    remove_checkpoints(place, "again")  # nothing there: nothing changes
    assert "none of t" in (place / "checkpoints" / "not-kept.txt").read_text()


@pytest.mark.parametrize("words", ["", "some", "top", "top-", "top-0", "top--1", "top-x", "Best"])
def test_words_that_mean_nothing(words):
    with pytest.raises(UserError, match="--keep-checkpoints"):
        Keeping(keep_checkpoints=words)


def test_other_settings_are_forced(tmp_path, local, caplog):
    def interrupt(place, *args):
        if place.run_name.endswith("cv1-run-f0s21"):
            raise KeyboardInterrupt
        return execute(place, *args)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, local, "all", 2, interrupt)
    other = make_search(tmp_path, "t", folds=1, seeds=(42, 21), metrics=METRIC, gamma=0.5)
    with pytest.raises(UserError, match=r"gamma.*--force"):
        open_runner(other, local, DEVICE, TRACKING, execute)
    runner = open_runner(other, local, DEVICE, TRACKING, execute, keeping=Keeping(force=True))
    assert "gamma (0.9 there, 0.5 here)" in caplog.text
    assert runner.run(1) == 1
    assert [trial.state.name for trial in runner.trials()] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert stored_search(local, "t").facts["gamma"] == 0.5
    open_runner(other, local, DEVICE, TRACKING, execute)  # the study is of these settings now
    choices = make_search(tmp_path, "t", {"augment": [False, True]}, folds=1, seeds=(42, 21), metrics=METRIC, gamma=0.5)
    with pytest.raises(UserError, match="choices of augment cannot change"):
        open_runner(choices, local, DEVICE, TRACKING, execute, keeping=Keeping(force=True))


def test_other_versions_are_a_warning(tmp_path, local, monkeypatch, caplog):
    run(tmp_path, local, "all", 0)
    assert "scores may differ" not in caplog.text
    before = versions.deciding_versions()
    monkeypatch.setattr(versions, "package_versions", lambda: before | {"torch": "1.0"})
    run(tmp_path, local, "all", 0)
    assert f"torch {before['torch']} (1.0 here)" in caplog.text


@pytest.mark.parametrize(
    ("entry", "said"), [("run.json", "a run"), ("cv.json", "a cross-validation"), ("notes.txt", "no search")]
)
def test_a_name_that_is_taken_by_something_else(tmp_path, entry, said):
    (tmp_path / "taken").mkdir()
    require_no_other(tmp_path, "taken")
    (tmp_path / "taken" / entry).touch()
    with pytest.raises(UserError, match=f"taken is {said}"):
        require_no_other(tmp_path, "taken")
    with pytest.raises(UserError, match="is a file"):
        require_no_other(tmp_path / "taken", entry)


def test_a_name_of_a_search_is_its_own(tmp_path, local):
    run(tmp_path, local, "all", 1)
    require_no_other(tmp_path, "t")


def test_of_several_objectives_none_is_the_best(tmp_path, local):
    search = dataclasses.replace(
        make_search(tmp_path, metrics=["val/JaccardIndex", "val/Recall"]), multi_objective=True
    )
    with pytest.raises(UserError, match="--keep-checkpoints best: no trial is best in several objectives"):
        open_runner(search, local, DEVICE, TRACKING, execute, keeping=Keeping(keep_checkpoints="best"))
