"""The writer of checkpoints with failpoints at each of its steps, on full disks, and what is read after damage.

Nothing is trained: a checkpoint here is a dictionary of a few tensors, as Lightning hands it over.
"""

import errno
import logging
import os
import resource
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.disk_room import NoRoomError, told_when_full
from darts_train.base.files import sweep_leftovers
from darts_train.models.tensor_file import DamagedFileError
from darts_train.training.checkpoints.checkpoint import (
    BEST,
    LAST,
    PREVIOUS,
    AtomicCheckpointIO,
    KeepCheckpoints,
    newest_whole,
    read_checkpoint,
)

STEPS = ["torch.save", "os.fsync 1", "os.link", "os.replace", "os.fsync 2", "end"]  # of one write, in their order
OWNERS = {"torch.save": torch, "os.fsync": os, "os.link": os, "os.replace": os}


def content(epoch: int, size: int = 1000) -> dict:
    """What a checkpoint of ours is made of; its weights say which epoch it is of."""
    return {
        "state_dict": {"model.w": torch.full((size,), float(epoch))},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.full((size,), float(epoch))}}}],
        "epoch": epoch,
        "global_step": 10 * (epoch + 1),
        "loops": {"fit_loop": {"epoch_progress": {"total": {"ready": epoch}}}},
    }


def write(directory: Path, epoch: int, name: str = LAST, size: int = 1000) -> None:
    AtomicCheckpointIO().save_checkpoint(content(epoch, size), directory / name)


def epoch_of(path: Path) -> int:
    """The epoch of a checkpoint, all of whose tensors are of that epoch."""
    found = read_checkpoint(path)
    moments = found["optimizer_states"][0]["state"][0]["exp_avg"]
    assert (found["state_dict"]["model.w"] == found["epoch"]).all()
    assert (moments == found["epoch"]).all()
    return int(found["epoch"])


def fail_at(step: str, patch, failure) -> None:
    """From now on the given step of a write calls `failure`; a save has written half of the file by then."""
    name, _, number = step.partition(" ")
    if name == "end":
        return
    owner, count = OWNERS[name], [0]
    attribute = name.rsplit(".")[-1]
    original = getattr(owner, attribute)

    def failing(*args, **kwargs):
        count[0] += 1
        if count[0] == int(number or 1):
            if name == "torch.save":
                args[1].write(b"PK\x03\x04 and then")
                args[1].flush()
            failure()
        return original(*args, **kwargs)

    patch.setattr(owner, attribute, failing)


def in_child(call) -> int:
    """Fork, call, and leave without the interpreter's end; its exit status, or minus the signal."""
    child = os.fork()
    if not child:
        try:
            call()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def assert_goes_on(directory: Path, epochs: tuple[int, ...]) -> None:
    """There is a whole checkpoint to go on from, of one of `epochs`, and the next write leaves two generations."""
    found = newest_whole(directory)
    assert found is not None
    assert (directory / LAST).is_file()
    epoch = epoch_of(found[0])
    assert epoch in epochs
    assert found[1] == (epoch + 1, 0)
    sweep_leftovers(directory)
    write(directory, 7)
    assert {path.name: epoch_of(path) for path in directory.iterdir()} == {LAST: 7, PREVIOUS: epoch}


@pytest.fixture
def directory(tmp_path):
    """With the checkpoints of two epochs."""
    place = tmp_path / "checkpoints"
    write(place, 0)
    write(place, 1)
    assert {path.name: epoch_of(path) for path in place.iterdir()} == {LAST: 1, PREVIOUS: 0}
    return place


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_each_step_leaves_the_old_checkpoint_or_the_new_one(directory, monkeypatch, step):
    def die():
        fail_at(step, monkeypatch, killed)
        write(directory, 2)

    status = in_child(die)
    after_rename = step in ("os.fsync 2", "end")
    assert status == (0 if step == "end" else -signal.SIGKILL)
    assert epoch_of(directory / LAST) == (2 if after_rename else 1)
    assert_goes_on(directory, (2,) if after_rename else (1,))


@pytest.mark.parametrize("step", [step for step in STEPS if step not in ("os.link", "end")])
def test_an_error_at_each_step_leaves_the_old_checkpoint_or_the_new_one(directory, monkeypatch, step):
    def fail():
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        fail_at(step, patch, fail)
        with pytest.raises(OSError, match="Input/output error"):
            write(directory, 2)
    assert not list(directory.glob(".*.tmp"))
    assert_goes_on(directory, (2,) if step == "os.fsync 2" else (1,))


def test_a_file_system_without_hard_links_keeps_a_copy(directory, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert_goes_on(directory, (1,))


def test_the_second_name_of_a_save_has_two_generations_too(directory):
    keeper = KeepCheckpoints(directory, "abc")
    keeper._save(lambda path: AtomicCheckpointIO().save_checkpoint(content(2), path), [BEST, LAST])
    found = {path.name: epoch_of(path) for path in directory.iterdir()}
    assert found == {BEST: 2, LAST: 2, PREVIOUS: 1}
    files = [path.stat() for path in directory.iterdir()]
    assert len({file.st_ino for file in files}) == 3
    assert all(file.st_nlink == 1 for file in files)
    assert not any(path.is_symlink() for path in directory.iterdir())


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """One bit of one weight: torch reads it without a word."""
    data = bytearray(path.read_bytes())
    place = data.find(torch.full((9,), float(epoch_of(path)) or 1.0).numpy().tobytes())
    data[max(place, 2000)] ^= 4
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip, empty, Path.unlink])
def test_a_damaged_last_checkpoint_gives_way_to_the_one_before(directory, caplog, damage):
    damage(directory / LAST)
    with caplog.at_level(logging.WARNING):
        assert newest_whole(directory) == (directory / PREVIOUS, (1, 0))
    if damage is not Path.unlink:
        assert "last.ckpt" in caplog.text
        assert "The run goes on from previous.ckpt." in caplog.text
    write(directory, 1)  # what was damaged never becomes the previous one
    assert {path.name: epoch_of(path) for path in directory.iterdir()} == {LAST: 1, PREVIOUS: 0}


def test_two_damaged_checkpoints_mean_a_new_start_and_a_warning(directory, caplog):
    cut(directory / LAST)
    flip(directory / PREVIOUS)
    with caplog.at_level(logging.WARNING):
        assert newest_whole(directory) is None
    assert "The run starts anew." in caplog.text
    assert newest_whole(directory) is None


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_a_changed_byte_is_found_or_changes_nothing(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("flip") / LAST
    AtomicCheckpointIO().save_checkpoint(content(3, 50), path)
    whole = bytearray(path.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(whole)
    with suppress(DamagedFileError):
        assert epoch_of(path) == 3


def test_the_temporary_directory_may_be_another_file_system_or_none(directory, monkeypatch):
    """Files are made where they will be: a rename cannot cross file systems."""
    moved = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (moved.append((Path(a).parent, Path(b).parent)), replace(a, b)))
    before = set(Path("/dev/shm").iterdir()) if Path("/dev/shm").is_dir() else set()
    for place in ("/dev/shm", str(directory / "missing")):
        monkeypatch.setenv("TMPDIR", place)
        monkeypatch.setattr("tempfile.tempdir", None)
        write(directory, 2)
    assert moved == [(directory, directory)] * 2
    assert not before or not [path for path in set(Path("/dev/shm").iterdir()) - before if "ckpt" in path.name]
    assert epoch_of(directory / LAST) == 2


def limited(call) -> None:
    """Call with files limited to 20 000 bytes, which a checkpoint of 1000 weights fits and one of 9000 does not."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    call()


def write_too_much(directory: Path) -> None:
    try:
        write(directory, 2, size=9000)
    except RuntimeError as error:
        raise error from error  # as `fit` does, which makes an error its own cause


def write_told(directory: Path) -> None:
    with pytest.raises(NoRoomError, match=r"checkpoints cannot be written: .*\. Make room"), told_when_full(directory):
        write_too_much(directory)


def test_a_limit_leaves_the_old_checkpoint_and_says_so(directory):
    assert in_child(lambda: limited(lambda: write_told(directory))) == 0
    assert_goes_on(directory, (1,))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 128 kB; only root may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip("a file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_leaves_the_old_checkpoint_and_says_so(small_disk):
    directory = small_disk / "checkpoints"
    write(directory, 0)
    write(directory, 1)
    write_told_size = shutil.disk_usage(small_disk).free
    with pytest.raises(NoRoomError, match=r"cannot be written: No space left on device"), told_when_full(directory):
        write(directory, 2, size=write_told_size // 4)
    assert not list(directory.glob(".*.tmp"))
    assert_goes_on(directory, (1,))
