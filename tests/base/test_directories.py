"""A directory appears whole or not at all, and what a killed writer left is mended."""

import os
import subprocess
import sys

import pytest

from darts_train.base.directories import appearing_directory


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def make(directory, text):
    directory.mkdir()
    (directory / "map").write_text(text)


def _interrupted(directory):
    (directory / "map").write_text("two")
    raise KeyboardInterrupt


def listing(root):
    return {path.name: (path / "map").read_text() for path in root.iterdir()}


def test_it_appears_and_replaces(tmp_path):
    for text in ("one", "two"):
        with appearing_directory(tmp_path / "scene") as directory:
            (directory / "map").write_text(text)
            assert (tmp_path / "scene").exists() == (text == "two")
        assert listing(tmp_path) == {"scene": text}


def test_a_failure_leaves_what_was_there(tmp_path):
    make(tmp_path / "scene", "one")
    with pytest.raises(KeyboardInterrupt), appearing_directory(tmp_path / "scene") as directory:
        _interrupted(directory)
    assert listing(tmp_path) == {"scene": "one"}


def test_a_map_hidden_by_a_kill_is_put_back(tmp_path):
    """Killed after the old map had left its place, before the new one was in it."""
    pid = dead_process()
    make(tmp_path / f".scene.{pid}.old.tmp", "one")
    make(tmp_path / f".scene.{pid}.tmp", "two")
    with pytest.raises(RuntimeError), appearing_directory(tmp_path / "scene"):
        raise RuntimeError
    assert listing(tmp_path) == {"scene": "one"}


def test_leftovers_of_living_and_of_other_scenes_stay(tmp_path):
    make(tmp_path / f".scene.{os.getppid()}.tmp", "in work")
    make(tmp_path / f".scene.b.{dead_process()}.tmp", "of another scene")
    make(tmp_path / f".scene.{dead_process()}.tmp", "left over")
    with appearing_directory(tmp_path / "scene") as directory:
        (directory / "map").write_text("new")
    assert sorted(listing(tmp_path).values()) == ["in work", "new", "of another scene"]
