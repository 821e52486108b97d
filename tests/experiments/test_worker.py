"""Runs in processes of their own: real ones, which import no torch."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from darts_train.artifacts.tree import RunPlace
from darts_train.base.errors import UserError
from darts_train.experiments.failures import MachineError, failure_kind
from darts_train.experiments.fleet.lanes import Lanes
from darts_train.experiments.fleet.messages import RemoteError
from darts_train.experiments.fleet.progress import RunStep
from darts_train.options.learning import Data, Device, Hyperparameters, Split, Tracking, Training
from darts_train.training.errors import OutOfMemory, TrainingError
from darts_train.training.stopping.pruned import PrunedError

RUNS = "tests.experiments.remote_runs:"


@pytest.fixture
def lanes(request):
    """Lanes of one device, for a function of `remote_runs`."""
    made = []

    def make(name, devices=("cpu",), **options):
        made.append(Lanes(devices, RUNS + name, **options))
        return made[-1]

    yield make
    for one in made:
        one.kill()
        one.close()


def do(lanes, directory, fold=0, **options):
    groups = Data(train_data_dir="d"), Split(), Hyperparameters(learning_rate=0.1), Training(max_epochs=3)
    place = RunPlace(directory / f"run{fold}", "run", "aaaaaaaa", "cv")
    return lanes(place, *groups, Device(device="cuda:7"), Tracking(), fold, 42, **options)


def test_one_process_does_many_runs_on_its_device(lanes, tmp_path):
    steps = []
    one = lanes("works", watch=steps.append)
    first, second = do(one, tmp_path), do(one, tmp_path, fold=1)
    assert first.metrics["pid"] == second.metrics["pid"] != os.getpid()
    assert second.metrics["val/JaccardIndex"] == pytest.approx(0.242)
    assert (tmp_path / "run1" / "device").read_text() == "cpu"
    assert [(s.fold, s.epoch, s.score) for s in steps if isinstance(s, RunStep) and s.seconds is None] == [
        (fold, epoch, score) for fold in (0, 1) for epoch, score in ((0, None), (1, 0.0), (2, 0.1), (3, 0.2))
    ]
    with pytest.raises(PrunedError, match="after 2"):
        do(one, tmp_path, on_validation=lambda epochs, metrics: "after 2" if epochs == 2 else None)


def test_errors_come_back_as_they_were_and_only_the_ill_are_replaced(lanes, tmp_path):
    expected = {"refuses": UserError, "diverges": TrainingError, "needs_memory": OutOfMemory, "errs": RemoteError}
    kinds = {"refuses": "configuration", "diverges": "numbers", "needs_memory": "memory", "errs": "bug"}
    one = lanes("works")
    pids = [do(one, tmp_path).metrics["pid"]]
    for name, error in expected.items():
        one._workers[0].function = RUNS + name
        with pytest.raises(error) as caught:
            do(one, tmp_path)
        assert failure_kind(caught.value) == kinds[name]
        assert name in caught.value.__notes__[0]  # where it was raised, there
        if name in ("diverges", "errs"):
            one._workers[0].function = RUNS + "works"
            pids.append(do(one, tmp_path).metrics["pid"])
    assert str(caught.value) == "Odd: 1 and 2"
    assert pids[0] == pids[1] != pids[2]


def test_a_process_that_dies_is_a_failure_of_the_machine(lanes, tmp_path):
    one = lanes("dies")
    with pytest.raises(MachineError, match=r"killed by signal 11 \(SIGSEGV\)"):
        do(one, tmp_path)


def test_a_judge_that_fails_is_heard(lanes, tmp_path):
    def fails(epochs, metrics):
        raise UserError("the database is out of reach")

    one = lanes("works")
    with pytest.raises(UserError, match="out of reach"):
        do(one, tmp_path, on_validation=fails)
    assert do(one, tmp_path).status == "finished"


def test_the_first_ctrl_c_waits_and_the_second_kills(lanes, tmp_path):
    def press(times):
        def on_step(step):
            if step.epoch == 1 and step.seconds is None:
                for number in range(times):
                    threading.Timer(0.3 * number, os.kill, (os.getpid(), signal.SIGINT)).start()

        return on_step

    before = signal.getsignal(signal.SIGINT)
    patient = lanes("hangs", watch=press(1))
    with pytest.raises(KeyboardInterrupt), patient.listening():
        do(patient, tmp_path)
    assert (tmp_path / "run0" / "saved").exists()
    with pytest.raises(KeyboardInterrupt):  # it stays told
        patient.stays()
    assert signal.getsignal(signal.SIGINT) is before


def test_it_ends_with_its_parent(tmp_path):
    script = (
        "import sys, pickle; from darts_train.experiments.fleet.worker import Process;"
        "p = Process('darts_train.experiments.fleet.child'); print(p.popen.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 15
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(child)
    parent.stdin.close()
    parent.stdout.close()


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
