"""One behaviour for all executors: this process, processes of this machine, a Dask cluster."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from darts_train.base.errors import UserError
from darts_train.base.executor import AHEAD, open_executor
from tests.support.cluster import dask_cluster


def square(number):
    time.sleep(0.02 * (number % 3))  # later items finish before earlier ones
    return number * number


def refuse_three(number):
    if number == 3:
        raise UserError("three is not wanted")
    return number


def die_once(mark):
    """Killed the first time that it is called with this file, as by the kernel when memory is short."""
    path = Path(mark)
    if path.name.startswith("die") and not path.exists():
        path.write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def die(number):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def cluster():
    with dask_cluster() as address:
        yield address


@pytest.fixture(params=["here", "processes", "cluster"])
def settings(request):
    if request.param == "cluster":
        return 1, request.getfixturevalue("cluster")
    return (1 if request.param == "here" else 2), None


def test_results_come_in_the_order_of_the_items(settings):
    with open_executor(*settings) as executor:
        assert list(executor.map(square, range(20))) == [number**2 for number in range(20)]
        assert list(executor.map(square, [])) == []


def test_what_the_function_raised_comes_at_its_turn(settings):
    with open_executor(*settings) as executor:
        results = executor.map(refuse_three, range(10))
        assert [next(results) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(UserError, match="three is not wanted"):
            next(results)


@pytest.mark.parametrize("kind", ["processes", "cluster"])
def test_an_item_whose_worker_was_killed_is_done_again(kind, request, tmp_path):
    names = ["a", "b", "die1", "c", "d", "die2", "e"]
    scheduler = request.getfixturevalue("cluster") if kind == "cluster" else None
    with open_executor(2, scheduler) as executor:
        assert list(executor.map(die_once, [str(tmp_path / name) for name in names])) == names


def test_an_item_that_always_kills_is_given_up():
    with open_executor(2) as executor, pytest.raises(UserError, match=r"killed 3 times \(out of memory"):
        list(executor.map(die, [1]))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_the_one_that_started_them(number):
    code = (
        "import time; from darts_train.base.executor import open_executor\n"
        "with open_executor(2) as executor: list(executor.map(time.sleep, [99] * 4))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        children = []
        while sum("popen_loky" in " ".join(child.cmdline()) for child in children) < 2:
            time.sleep(0.05)
            children = psutil.Process(parent.pid).children(recursive=True)
        time.sleep(1)  # a process that is just starting looks for its parent, too
        parent.send_signal(number)
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


def test_items_are_taken_only_a_few_ahead():
    taken = []
    with open_executor(2) as executor:
        results = executor.map(square, (taken.append(number) or number for number in range(100)))
        assert next(results) == 0
        assert len(taken) <= 2 * AHEAD + 1


def test_no_scheduler_there(monkeypatch):
    monkeypatch.setattr("darts_train.base.executor._CONNECT_SECONDS", 1)
    place = "tcp://127.0.0.1:9"
    with pytest.raises(UserError, match=r"--scheduler: tcp://127\.0\.0\.1:9 does not answer"), open_executor(1, place):
        pass
