"""Files are whole or not there; places are checked before work starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from darts_train.base.errors import UserError, listing, nearest
from darts_train.base.files import (
    atomic_path,
    require_directory,
    require_file,
    require_writable,
    sweep_leftovers,
    write_json,
    write_text,
)
from darts_train.base.hashes import hash_bytes, hash_file, hash_json
from darts_train.base.locks import exclusive_lock
from tests.support.unprivileged import run_unprivileged


def test_a_write_replaces_the_whole_file(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "first, and longer")
    write_text(path, "second")
    assert path.read_text() == "second"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    code = (
        "import os, signal, sys; from pathlib import Path; from darts_train.base.files import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])) as t:\n"
        "    t.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)])
    assert done.returncode == -9
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    sweep_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_nan_is_refused_in_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_required_places(tmp_path):
    file = tmp_path / "file"
    file.touch()
    assert require_file(file, "--x") == file
    assert require_directory(tmp_path, "--x") == tmp_path
    for call, path in [
        (require_file, tmp_path),
        (require_file, tmp_path / "no"),
        (require_directory, file),
        (require_directory, tmp_path / "no"),
        (require_writable, file / "below"),
    ]:
        with pytest.raises(UserError, match=r"^--x: "):
            call(path, "--x")


def test_a_writable_place_is_not_created_by_asking(tmp_path):
    assert require_writable(tmp_path / "a" / "b", "--x") == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_are_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for place in (tmp_path / "loop", tmp_path / "loop" / "below"):
        with pytest.raises(UserError, match=r"--x: .*loop is a link that leads nowhere"):
            require_writable(place, "--x")
    with pytest.raises(UserError, match=r"--x: .* cannot be a directory"):
        require_writable(tmp_path / ("x" * 300), "--x")


def test_a_read_only_place_is_refused(tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    code = (
        "import sys; from pathlib import Path\n"
        "from darts_train.base.files import require_writable\n"
        "from darts_train.base.errors import UserError\n"
        "try: require_writable(Path(sys.argv[1]) / 'new', '--out')\n"
        "except UserError as error: print(error)"
    )
    done = run_unprivileged([sys.executable, "-c", code, str(locked)])
    assert done.stdout == f"--out: {locked} is read-only; choose a place that can be written.\n"


def test_hashes_are_stable(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert hash_file(tmp_path / "a", block=1000) == hash_bytes(b"abc" * 100_000)
    assert hash_json({"a": 1, "b": (2, Path("x"))}) == hash_json({"b": [2, "x"], "a": 1})
    assert hash_json({"a": 1}) != hash_json({"a": 2})


def test_a_lock_is_held_by_one_process_and_dies_with_it(tmp_path):
    path = tmp_path / "lock"
    code = (
        "import sys, time; from pathlib import Path; from darts_train.base.locks import exclusive_lock\n"
        "with exclusive_lock(Path(sys.argv[1]), 'x'): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    with (
        pytest.raises(UserError, match="train data is being written by another process"),
        exclusive_lock(path, "train data"),
    ):
        pass
    holder.kill()
    holder.wait()
    with exclusive_lock(path, "train data"):
        pass


def test_listing_and_nearest():
    assert listing([1, 2, 3]) == "1, 2, 3"
    assert listing(range(9), limit=2) == "0, 1 and 7 more"
    assert nearest("resnet8", ["resnet18", "vgg11"]) == "; nearest: resnet18"
    assert nearest("zzz", ["resnet18"]) == ""
