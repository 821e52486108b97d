import random
import shutil
import signal
import time

import pytest

from darts_train.base.errors import UserError
from darts_train.dataset.checks import validate_train_data
from darts_train.dataset.reader import TrainData
from darts_train.options.preprocessing import Inspect
from tests.dataset.killing import SCENES, contents, write_all, write_and_die
from tests.support.forking import fork_server


@pytest.fixture(scope="module")
def server():
    with fork_server("tests.dataset.killing") as server:
        yield server


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed") / "set"
    write_all(root)
    return contents(root)


def kill_at_every_step(server, root, prepare, overwrite=False, stride=1):
    """Kill before step 0, 1, 2, … of a write, until one comes to its end; yield after each kill."""
    for step in range(0, 1000, stride):
        shutil.rmtree(root, ignore_errors=True)
        prepare()
        exit_code = server.call(write_and_die, root, len(SCENES), overwrite, step)
        if exit_code == 0:
            assert step > 10
            return
        assert exit_code == -signal.SIGKILL
        yield step
    raise AssertionError("never came to an end")


def readable_or_refused(root):
    """A set that is not whole must say so, and never be read as a smaller or wrong one."""
    try:
        data = TrainData.open(root)
    except UserError:
        return
    assert validate_train_data(Inspect(train_data_dir=root)).ok
    assert len(data) in (1, 3)


def test_killed_before_every_step_and_resumed_it_ends_with_the_same_bytes(server, tmp_path, undisturbed):
    root = tmp_path / "set"
    for step in kill_at_every_step(server, root, lambda: None):
        readable_or_refused(root) if root.exists() else None
        write_all(root)
        assert contents(root) == undisturbed, f"killed before step {step}"


def test_killed_while_scenes_are_added_to_a_finished_set(server, tmp_path, undisturbed):
    root, first = tmp_path / "set", tmp_path / "first"
    write_all(first, scenes=2)
    for step in kill_at_every_step(server, root, lambda: shutil.copytree(first, root)):
        readable_or_refused(root)
        write_all(root)
        assert contents(root) == undisturbed, f"killed before step {step}"


def test_killed_while_a_set_is_overwritten(server, tmp_path, undisturbed):
    root, first = tmp_path / "set", tmp_path / "first"
    write_all(first)
    (first / "notes.txt").write_text("mine")
    for step in kill_at_every_step(server, root, lambda: shutil.copytree(first, root), overwrite=True, stride=3):
        readable_or_refused(root)
        write_all(root)  # goes on from whatever part of the old set the journal still vouches for
        assert contents(root) == undisturbed | {"notes.txt": b"mine"}, f"killed before step {step}"


def test_killed_at_random_moments_again_and_again(server, tmp_path, undisturbed):
    rng, root, kills = random.Random(1), tmp_path / "set", 0
    began = time.monotonic()
    process = server.start(write_all, tmp_path / "measure")
    process.join()
    full = time.monotonic() - began
    while kills < 15:
        process = server.start(write_all, root)
        process.join(rng.uniform(0, full))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        if process.exitcode == 0:
            assert contents(root) == undisturbed
            shutil.rmtree(root)
    write_all(root)
    assert contents(root) == undisturbed
