"""Several devices: runners in processes of their own, or the runs of one trial side by side."""

import dataclasses
import io
import os
import re
import signal
import time

import pandas as pd
import pytest

from darts_train.base.errors import UserError
from darts_train.experiments.cross_validation import cross_validate
from darts_train.experiments.failures import BugError
from darts_train.experiments.fleet.devices import device_names
from darts_train.experiments.fleet.hands import hands_of
from darts_train.experiments.fleet.lanes import Lanes
from darts_train.experiments.fleet.live_table import LiveTable
from darts_train.experiments.fleet.pool import LOGS
from darts_train.experiments.fleet.progress import RunStep, TrialEnd
from darts_train.experiments.fleet.standing import Standing, duration, table
from darts_train.experiments.searching.runner import open_runner
from darts_train.experiments.searching.table import table_path
from darts_train.options.fleet import Fleet
from darts_train.options.learning import Device

from .stub import DEVICE, TRACKING, make_search

RUNS = "tests.experiments.remote_runs:"
METRIC = ["val/JaccardIndex"]


def hands(name, slots=("cpu", "cpu"), **fleet):
    return dataclasses.replace(hands_of(",".join(slots), Fleet(**fleet)), function=RUNS + name)


@pytest.fixture
def runner(tmp_path, local):
    search = make_search(tmp_path, "s", metrics=METRIC, folds=2, seeds=(42,))
    runner = open_runner(search, local, Device(device="cpu"), TRACKING)
    return dataclasses.replace(runner, retry_seconds=0.0)


def scores(runner):
    learning = [trial.params["learning_rate"] for trial in runner.trials()]
    return pytest.approx([rate + 0.05 + 0.042 for rate in learning])


def test_two_runners_share_the_trials_and_a_killed_process_costs_nothing(runner):
    assert hands("dies_once").run(runner, 4) == 4
    trials = runner.trials()
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 4
    assert [trial.value for trial in trials] == scores(runner)
    assert len(pd.read_parquet(table_path(runner.search))) == 8
    logs = sorted((runner.search.directory / LOGS).glob("*.log"))
    assert [log.name for log in logs] == ["runner-0-cpu.log", "runner-1-cpu.log"]
    said = "".join(log.read_text() for log in logs)
    assert said.count("killed by signal 9 (SIGKILL)") >= 1
    assert all(f"trial {number}: score" in said for number in range(4))


@pytest.mark.slow
def test_a_bug_in_one_runner_stops_all(runner):
    with pytest.raises(BugError, match="RemoteError: Odd: 1 and 2"):
        hands("errs").run(runner, 10)
    assert len(runner.trials()) <= 2


def test_runs_side_by_side_give_what_they_give_one_by_one(tmp_path):
    plan = make_search(tmp_path, "s", metrics=METRIC, folds=3, seeds=(42, 21)).plan(0, {})
    lanes = Lanes(["cpu", "cpu"], RUNS + "slow_first")
    rows = []
    try:
        result = cross_validate(plan, DEVICE, TRACKING, execute=lanes, on_row=rows.append)
        assert [(row.fold, row.seed) for row in rows] == plan.runs()
        assert result.infos["val/JaccardIndex"].tolist() == pytest.approx(
            [plan.settings.hyperparameters.learning_rate + 0.1 * f + s / 1000 for f, s in plan.runs()]
        )
        assert len(set(result.infos["pid"])) == 2

        class StopsAtOnce:
            watches_validations = False

            def after_run(self, rows):
                return "enough"

        other = make_search(tmp_path, "t", metrics=METRIC, folds=3).plan(1, {})
        stopped = cross_validate(other, DEVICE, TRACKING, execute=lanes, judge=StopsAtOnce())
        assert (stopped.pruned, len(stopped.infos)) == ("enough", 1)
    finally:
        lanes.close()


def test_devices_are_looked_at_before_anything_starts():
    assert device_names("cpu, cpu") == ("cpu", "cpu")
    assert hands_of("cpu", Fleet(runs_per_device=2)).slots == ("cpu", "cpu")
    with pytest.raises(UserError, match="there is no 99 here"):
        hands_of("cpu,99", Fleet())
    with pytest.raises(UserError, match="empty place"):
        hands_of("cpu,", Fleet())
    with pytest.raises(UserError, match="for one run"):
        hands_of("cpu", Fleet(strategy="ddp"))
    with pytest.raises(UserError, match="needs a fleet"):
        hands_of("cpu,cpu", None)


def test_ctrl_c_lets_the_epochs_of_all_runs_end(tmp_path):
    at_work = set()

    def press(step):
        if step.epoch == 1 and step.seconds is None:
            at_work.add(step.fold)
            if len(at_work) == 2:
                os.kill(os.getpid(), signal.SIGINT)

    plan = make_search(tmp_path, "s", metrics=METRIC, folds=3, seeds=(42,)).plan(0, {})
    lanes = Lanes(["cpu", "cpu"], RUNS + "hangs", press)
    try:
        with pytest.raises(KeyboardInterrupt), lanes.listening():
            cross_validate(plan, DEVICE, TRACKING, execute=lanes)
    finally:
        lanes.kill()
        lanes.close()
    assert len(list(plan.directory.glob("*/saved"))) == 2


# What is shown.


def standing():
    return Standing(("0:cpu", "1:cpu"), 4, 2, lambda a, b: a > b)


def step(cv, fold, epoch, **more):
    return RunStep(0, f"s-cv{cv}", fold, 42, epoch, 10, **more)


def test_what_is_left_is_reckoned_from_what_is_done():
    now = standing()
    assert now.seconds_left() is None
    for fold in (0, 1):
        now.take(0, step(0, fold, 0), 0.0)
        now.take(0, step(0, fold, 10, seconds=60.0, finished=True), 60.0)
        now.take(1, step(1, fold, 10, seconds=6.0), 60.0)  # it failed
    assert now.seconds_left() == 6 * 60 / 2
    now.take(0, TrialEnd(0, "score", 0.5), 120.0)
    assert now.seconds_left() == 6 * 60 / 2  # the same runs are left
    now.take(1, TrialEnd(1, "score", 0.4), 120.0)
    assert (now.best.number, now.ended) == (0, 2)
    now.take(1, step(2, 1, 3, score=0.25), 130.0)
    assert table(now, 190.0) == [
        "0:cpu  trial 0 score",
        "1:cpu  s-cv2  fold 1  seed 42  epoch 3/10  IoU 0.2500  60 s",
        "2 of 4 trials, best 0.5000 (trial 0), about 2 min left",
    ]
    assert [duration(s) for s in (5, 100, 3700, 200_000)] == ["5 s", "2 min", "1 h 02 min", "2 d 7 h"]


def test_a_terminal_has_a_table_that_is_drawn_over(caplog):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out, clock = Terminal(), iter(range(100))
    shown = LiveTable(standing(), out, lambda: float(next(clock)))
    shown.take(0, step(0, 0, 1))
    shown.take(0, step(0, 0, 2))
    assert re.findall("\x1b\\[3F\x1b\\[J", out.getvalue()) == ["\x1b[3F\x1b[J"]
    assert out.getvalue().count("epoch") == 2
    plain = io.StringIO()
    with caplog.at_level("INFO", "darts"):
        shown = LiveTable(standing(), plain, time.monotonic)
        shown.take(0, step(0, 0, 1))
        shown.take(0, step(0, 0, 10, seconds=12.0, finished=True, score=0.5))
        shown.take(0, TrialEnd(0, "score", 0.5))
    assert plain.getvalue() == ""
    assert [record.getMessage() for record in caplog.records] == [
        "0:cpu: s-cv0, fold 0, seed 42: finished after 12 s  IoU 0.5000",
        "0:cpu: trial 0: score 0.5000; 1 of 4 trials, best 0.5000 (trial 0), about 36 s left",
    ]


def test_rows_of_a_bug_keep_their_kind(runner):
    with pytest.raises(BugError):
        hands("errs", ("cpu",)).run(runner, 2)
    assert [row.kind for row in runner.rows(runner.trials()[0])] == ["bug"]
