import dataclasses
import json
import math
import multiprocessing
import os
import random
import signal
import time
import zlib
from collections import Counter

import optuna
import pandas as pd
import pytest

from darts_train.artifacts.run_record import read_record
from darts_train.base.errors import UserError
from darts_train.experiments import alone
from darts_train.experiments.database.lease import Leases
from darts_train.experiments.database.storage import database_url, open_database
from darts_train.experiments.failures import BugError
from darts_train.experiments.searching import runner as runner_module
from darts_train.experiments.searching.runner import open_runner
from darts_train.experiments.searching.sampling import point
from darts_train.experiments.searching.study import best_trial, stored_search
from darts_train.experiments.searching.table import table_path
from darts_train.training.errors import OutOfMemory

from . import stub
from .stub import DEVICE, TRACKING, execute, iou, make_search

METRIC = ["val/JaccardIndex"]


def runner_of(search, database, execute=execute, lease_seconds=60.0):
    return open_runner(search, database, DEVICE, TRACKING, execute, lease_seconds)


def expected_score(search, number):
    settings = search.settings.replace(point(search.space, number))
    values = [iou(settings.hyperparameters, f, s) for s in search.seeds for f in range(search.folds)]
    return sum(values) / len(values)


def name_of(request):
    return f"t{zlib.crc32(request.node.name.encode())}"  # the server outlives a test


@pytest.fixture
def search(tmp_path, request):
    return make_search(tmp_path, name_of(request), metrics=METRIC)


def test_trials_are_those_of_their_numbers(search, database):
    runner = runner_of(search, database)
    assert runner.run(2) == 2
    assert runner.run(1) == 1
    trials = runner.trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 3
    assert [trial.value for trial in trials] == pytest.approx([expected_score(search, n) for n in range(3)])
    assert all(len(runner.rows(trial)) == 4 for trial in trials)
    table = pd.read_parquet(table_path(search))
    assert len(table) == 12
    assert list(table.columns[:3]) == ["cv_name", "learning_rate", "augment"]
    assert table["learning_rate"].dtype == "float64"
    assert sorted(set(table["cv_name"])) == [f"{search.name}-cv{n}" for n in range(3)]
    best = best_trial(search, trials)
    assert best.number == max(range(3), key=lambda n: expected_score(search, n))
    assert best.parameters == pytest.approx(point(search.space, best.number))


def test_a_lower_metric_is_minimised(tmp_path, local, request):
    search = make_search(tmp_path, name_of(request), metrics=["val/loss:lower"])
    runner = runner_of(search, local)
    runner.run(4)
    best = best_trial(search, runner.trials())
    assert best.score == min(trial.value for trial in runner.trials())
    assert stored_search(local, search.name).facts["scoring_metric"] == ["val/loss:lower"]


def test_a_total_is_shared_by_all_calls(search, local):
    assert runner_of(search, local).run(None, total=2) == 2
    assert runner_of(search, local).run(None, total=3, wait=True) == 1
    assert runner_of(search, local).run(None, total=2) == 0


def test_a_grid_ends_when_everything_was_tried(tmp_path, local, request):
    table = {"learning_rate": [1e-4, 1e-3], "batch_size": [1, 2], "bands": {"distribution": "value", "value": ["red"]}}
    search = make_search(tmp_path, name_of(request), table, "grid", folds=1, seeds=(42,), metrics=METRIC)
    runner = runner_of(search, local)
    assert runner.run(None) == 4
    tried = [(trial.params["learning_rate"], trial.params["batch_size"]) for trial in runner.trials()]
    assert Counter(tried) == Counter([(1e-4, 1), (1e-4, 2), (1e-3, 1), (1e-3, 2)])
    assert best_trial(search, runner.trials()).parameters["bands"] == ("red",)
    assert pd.read_parquet(table_path(search))["bands"].map(json.loads).tolist() == [["red"]] * 4


def test_tpe_runs(tmp_path, local, request):
    search = make_search(tmp_path, name_of(request), sampler="tpe", folds=1, seeds=(42,), metrics=METRIC)
    runner = runner_of(search, local)
    assert runner.run(3) == 3
    assert len({trial.params["learning_rate"] for trial in runner.trials()}) == 3


def test_a_trial_with_a_failed_run_has_no_score(search, local):
    def fail(place, *args):
        if place.run_name.endswith("cv0-run-f1s42"):
            raise UserError("broken")
        return execute(place, *args)

    runner = runner_of(search, local, fail)
    runner.run(2)
    first, second = runner.trials()
    assert (first.state.name, second.state.name) == ("FAIL", "COMPLETE")
    assert best_trial(search, [first, second]).number == 1
    table = pd.read_parquet(table_path(search))
    failed = table[table["status"] == "failed"]
    assert failed["error"].tolist() == ["UserError: broken"]
    assert failed["kind"].tolist() == ["configuration"]
    assert first.user_attrs["failure"] == "configuration: UserError: broken"
    assert table[table["cv_name"].str.endswith("cv0")]["score"].isna().all()


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf])
def test_an_unstable_trial_is_told_and_never_the_best(search, local, value):
    def spoil(place, *args):
        result = execute(place, *args)
        if "-cv0-" in place.run_name:
            result.metrics = {"val/JaccardIndex": 1.0 if place.run_name.endswith("f0s42") else value}
        return result

    runner = runner_of(search, local, spoil)
    runner.run(2)
    first, second = runner.trials()
    assert first.user_attrs["unstable"] is True
    assert first.state.name == ("COMPLETE" if value == 0 else "FAIL")
    assert best_trial(search, [first, second]).number == 1
    assert best_trial(search, [first]) is None


def test_a_search_in_which_nothing_works_any_more_stops(search, local):
    def fail(place, *args):
        raise OSError("no space left on device")

    runner = dataclasses.replace(runner_of(search, local, fail), retry_seconds=0.0)
    with pytest.raises(UserError, match=r"3 configurations in a row failed.*no space left"):
        runner.run(10)
    assert len(runner.trials()) == 3


def test_what_the_machine_failed_is_tried_again_and_only_that(search, local):
    done, chance = Counter(), iter([False, True, True])

    def fail(place, *args):
        done[place.run_name] += 1
        if place.run_name.endswith("f0s42") and next(chance, False):
            raise OSError("the disk was gone for a moment")
        return execute(place, *args)

    runner = dataclasses.replace(runner_of(search, local, fail), retry_seconds=0.0)
    runner.run(2)
    assert [trial.state.name for trial in runner.trials()] == ["COMPLETE"] * 2
    assert runner.trials()[1].value == pytest.approx(expected_score(search, 1))
    assert [done[f"{search.name}-cv1-run-f{f}s{s}"] for s in search.seeds for f in range(2)] == [3, 1, 1, 1]
    assert len(runner.rows(runner.trials()[1])) == 4


def test_a_trial_that_kills_its_runner_each_time_ends(search, local, monkeypatch):
    runner = dataclasses.replace(runner_of(search, local), max_retries=2)
    for _ in range(3):  # taken, and gone without a word
        runner._take(None)
        local.call(lambda: runner.leases._do("update darts_lease set until = 0", lambda result: None))
    assert runner.run(1) == 1
    first, second = runner.trials()
    assert (first.state.name, second.state.name) == ("FAIL", "COMPLETE")
    assert first.user_attrs["failure"] == "machine: its runner died 3 times"


def test_a_runner_that_comes_back_ends_its_trial_while_it_is_taken_over(search, local, monkeypatch):
    """Its connection broke in the door; its lease is over, and yet its result is whole."""
    gone, next_one = runner_of(search, local), runner_of(search, local)
    gone._take(None)
    local.call(lambda: gone.leases._do("update darts_lease set until = 0", lambda result: None))
    join = runner_module.join_trial

    def late(*args):
        trial = join(*args)
        gone.study.tell(0, 0.123)
        return trial

    monkeypatch.setattr(runner_module, "join_trial", late)
    assert next_one.run(1) == 1
    first, second = next_one.trials()
    assert first.value == 0.123
    assert second.value == pytest.approx(expected_score(search, 1))
    assert next_one.leases.claim(0) is not None  # it was let go


def test_trials_that_are_left_on_purpose_are_taken_up_for_ever(search, local):
    def interrupt(place, *args):
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            dataclasses.replace(runner_of(search, local, interrupt), max_retries=0).run(1)
    assert dataclasses.replace(runner_of(search, local), max_retries=0).run(1) == 1
    assert [trial.state.name for trial in runner_of(search, local).trials()] == ["COMPLETE"]


def test_a_bug_stops_the_search_and_the_next_call_goes_on(search, local):
    def fail(place, *args):
        raise IndexError("of a program")

    runner = runner_of(search, local, fail)
    with pytest.raises(BugError, match=r"cv0-run-f0s42: IndexError: of a program"):
        runner.run(3)
    assert [trial.state.name for trial in runner.trials()] == ["FAIL"]
    assert [row.kind for row in runner.rows(runner.trials()[0])] == ["bug"]
    assert len(pd.read_parquet(table_path(search))) == 1
    assert runner_of(search, local).run(1) == 1


def test_a_trial_without_memory_is_infeasible_and_ends_at_once(search, local):
    def fail(place, *args):
        if "-cv0-" in place.run_name:
            raise OutOfMemory("too little")
        return execute(place, *args)

    runner = runner_of(search, local, fail)
    assert runner.run(2) == 2
    first, second = runner.trials()
    assert (first.state.name, first.user_attrs["infeasible"], second.state.name) == ("FAIL", True, "COMPLETE")
    assert len(runner.rows(first)) == 1


def test_configurations_that_cannot_work_do_not_stop_a_search(search, local):
    def fail(place, *args):
        raise UserError("does not go together")

    assert runner_of(search, local, fail).run(4) == 4


def test_a_runner_with_other_settings_is_refused(search, tmp_path, local):
    runner_of(search, local)
    with pytest.raises(UserError, match=r"gamma \(0.9 there, 0.5 here\)"):
        runner_of(make_search(tmp_path, search.name, metrics=METRIC, gamma=0.5), local)
    with pytest.raises(UserError, match="space of batch_size"):
        runner_of(make_search(tmp_path, search.name, {"batch_size": [1, 2]}, metrics=METRIC), local)
    runner_of(make_search(tmp_path, search.name, metrics=METRIC, learning_rate=0.5), local)  # searched: no default
    assert stored_search(local, search.name).space == search.space


def test_a_study_of_somebody_else_is_refused(search, local):
    study = optuna.create_study(study_name=search.name, storage=local.storage)
    study.tell(study.ask(), 1.0)
    with pytest.raises(UserError, match="not made by darts"):
        runner_of(search, local)


def test_a_study_killed_while_it_was_made_is_finished(search, database):
    optuna.create_study(study_name=search.name, storage=database.storage, direction="maximize")
    assert runner_of(search, database).run(1) == 1


def test_an_interrupted_trial_is_taken_up_at_once(search, database):
    def interrupt(place, *args):
        if place.run_name.endswith("f0s21"):
            raise KeyboardInterrupt
        return execute(place, *args)

    with pytest.raises(KeyboardInterrupt):
        runner_of(search, database, interrupt).run(1)
    runner = runner_of(search, database)
    assert runner.trials()[0].state.name == "RUNNING"
    assert runner.run(1) == 1
    assert [trial.state.name for trial in runner.trials()] == ["COMPLETE"]
    assert runner.trials()[0].value == pytest.approx(expected_score(search, 0))


def test_a_trial_begun_elsewhere_goes_on_without_its_directory(search, tmp_path, local):
    """Runners may share nothing but the local: rows of finished runs come with the trial."""

    def interrupt(place, *args):
        if place.run_name.endswith("f0s21"):
            raise KeyboardInterrupt
        return execute(place, *args)

    with pytest.raises(KeyboardInterrupt):
        runner_of(search, local, interrupt).run(1)
    elsewhere = make_search(tmp_path / "elsewhere", search.name, metrics=METRIC)
    runner = runner_of(elsewhere, local)
    runner.run(1)
    assert runner.trials()[0].value == pytest.approx(expected_score(search, 0))
    assert len(list(elsewhere.directory.glob("*/*s42*"))) == 0
    assert len(list(elsewhere.directory.glob("*/*s21*"))) == 2


@pytest.mark.parametrize("lease_seconds", [0.2, 60.0])  # the keeper notices, or only the database does
def test_a_runner_that_slept_through_its_lease_writes_nothing(search, database, lease_seconds):
    """The other has its result already when the sleeper wakes up."""
    slept = []

    def sleep(place, *args):
        if not slept:
            slept.append(place)
            study = runner.study
            thief = Leases(database, search.name, "thief", 60.0)
            while thief.claim(0) is None:  # the keeper renews in between
                thief._do("update darts_lease set until = 0 where study = :study", lambda result: None)
            study.tell(0, 0.123)
        return execute(place, *args)

    runner = runner_of(search, database, sleep, lease_seconds=lease_seconds)
    assert runner.run(1) == 1  # the next trial: the first was not ours any more
    first, second = runner.trials()
    assert first.value == 0.123
    assert "unstable" not in first.user_attrs
    assert second.value == pytest.approx(expected_score(search, 1))


def test_a_directory_in_use_is_left_to_its_user(search, local, monkeypatch):
    monkeypatch.setattr(alone, "PATIENCE", 0.1)
    held = search.directory / f"{search.name}-cv0"
    runner = runner_of(search, local)
    with alone.alone_in(held, "x"):
        taken = runner._take(None)
        assert runner._work(taken) is None
    assert runner.trials()[0].state.name == "RUNNING"
    assert runner.run(1) == 1
    assert len(runner.trials()) == 1


# Real processes, killed.


def run_in_process(address, directory, name, total, lease_seconds):
    """Work until `total` trials have ended; for a forked process, which ends here."""
    stub.epoch_seconds = 0.03
    try:
        search = make_search(directory, name, metrics=METRIC)
        runner = runner_of(search, open_database(database_url(address)), lease_seconds=lease_seconds)
        runner.run(None, total=total, wait=True)
    except BaseException as error:
        (directory / f"error-{os.getpid()}").write_text(repr(error))
        os._exit(1)
    os._exit(0)


def start(*args):
    process = multiprocessing.get_context("fork").Process(target=run_in_process, args=args)
    process.start()
    return process


@pytest.mark.slow
def test_two_runners_killed_at_random_moments(address, tmp_path, request):
    """Every trial ends, each of its runs once, and the scores are those of a search that nobody disturbed."""
    total, name, chance = 5, name_of(request), random.Random(1)
    arguments = (address, tmp_path, name, total, 1.5)
    runners = [start(*arguments), start(*arguments)]
    for _ in range(6):
        time.sleep(chance.uniform(0.2, 0.9))
        victim = chance.randrange(2)
        if runners[victim].is_alive():
            os.kill(runners[victim].pid, signal.SIGKILL)
        runners[victim].join()
        runners[victim] = start(*arguments)
    for runner in runners:
        runner.join(90)
    assert not list(tmp_path.glob("error-*")), [path.read_text() for path in tmp_path.glob("error-*")]
    assert [runner.exitcode for runner in runners] == [0, 0]
    search = make_search(tmp_path, name, metrics=METRIC)
    runner = runner_of(search, open_database(database_url(address)))
    trials = runner.trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * total
    assert [trial.value for trial in trials] == pytest.approx([expected_score(search, n) for n in range(total)])
    directories = [path for path in search.directory.glob("*/*-run-*") if path.is_dir()]
    assert len(directories) == total * 4
    for directory in directories:
        assert read_record(directory).status == "finished"
        assert len((directory / "epochs.txt").read_bytes()) == 3  # no epoch was trained twice
    table = pd.read_parquet(table_path(search))
    assert len(table) == len(set(table["run_name"])) == total * 4
