"""The cache holds what the set holds; it is built once, and a killed builder leaves nothing that is taken for it."""

import errno
import logging
import os
import pickle
import signal

import numpy as np
import pytest

from darts_train.base.errors import UserError
from darts_train.dataset import cache_build
from darts_train.dataset.cache import CacheShape, _runs
from darts_train.dataset.cache_build import open_cache
from darts_train.dataset.reader import TrainData
from darts_train.dataset.store import chunk_path
from tests.support.forking import fork_server
from tests.support.sets import make_old_set, make_set

CHOICES = (None, ("blue",), ("nir", "red", "blue"), ("green", "red"), ("red", "nir"), ("blue", "green", "nir"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("cached") / "set"
    make_set(path, patches=9, size=16, bands=4, nodata=True)
    return path


@pytest.fixture(scope="module")
def forks():
    with fork_server("darts_train.dataset.cache_build", "tests.dataset.test_cache") as server:
        yield server


def files(directory):
    return sorted(path.name for path in directory.iterdir() if not path.name.endswith(".lock"))


@pytest.mark.parametrize("bands", CHOICES)
def test_any_bands_are_those_of_the_set(root, tmp_path_factory, bands):
    data = TrainData.open(root, bands)
    cached = open_cache(tmp_path_factory.getbasetemp() / "shared", data)
    rows = [8, 0, 3, 3]
    for ours, theirs in zip(cached.read_many(rows), data.read_many(rows), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert len(files(tmp_path_factory.getbasetemp() / "shared")) == 1  # one file for every choice of bands


def test_older_sets_keep_floats_and_gaps(tmp_path):
    data = TrainData.open(make_old_set(tmp_path / "old"), ("red", "blue"))
    cached = pickle.loads(pickle.dumps(open_cache(tmp_path / "cache", data)))
    for ours, theirs in zip(cached.read_many(range(12)), data.read_many(range(12)), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert [part.shape[0] for part in cached.read_many([])] == [0, 0]


def test_neighbouring_bands_are_read_together():
    assert list(_runs((0, 1, 2, 5, 4, 6, 7))) == [(0, 0, 3), (3, 5, 1), (4, 4, 1), (5, 6, 2)]


def test_rows_that_are_not_there_are_refused(root, tmp_path):
    cached = open_cache(tmp_path, TrainData.open(root))
    for row in (-1, 9):
        with pytest.raises(IndexError):
            cached.read_many([row])


def test_another_set_has_another_file(root, tmp_path):
    make_set(tmp_path / "other", patches=9, size=16, bands=4, seed=5)
    for path in (root, tmp_path / "other"):
        cached = open_cache(tmp_path / "cache", TrainData.open(path))
        np.testing.assert_array_equal(cached.read_many([4])[0][0], TrainData.open(path).read(4)[0])
    assert len(files(tmp_path / "cache")) == 2


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b"{}" + b[2:], lambda b: b""])
def test_a_file_that_is_not_whole_is_made_anew(root, tmp_path, damage):
    data = TrainData.open(root)
    path = open_cache(tmp_path, data).path
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    open_cache(tmp_path, data)
    assert path.read_bytes() == whole


def test_a_file_cut_off_under_a_reader_is_an_error_in_words(root, tmp_path):
    cached = open_cache(tmp_path, TrainData.open(root))
    with cached.path.open("r+b") as file:
        file.truncate(CacheShape.of(TrainData.open(root)).offset(5))
    cached.read_many([4])
    with pytest.raises(UserError, match="cut off"):
        cached.read_many([5])


def build_and_die(root, directory, at):
    """Build, killed before patch `at` is copied; beyond the last: before the file gets its name."""
    copy, replace = cache_build._copy_patch, os.replace

    def copied(data, shape, descriptor, index):
        if index == at:
            os.kill(os.getpid(), signal.SIGKILL)
        copy(data, shape, descriptor, index)

    def replaced(*paths):
        if at >= 9:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)

    cache_build._copy_patch, os.replace = copied, replaced
    open_cache(directory, TrainData.open(root))


@pytest.mark.parametrize("at", [0, 4, 8, 9])
def test_a_killed_builder_leaves_nothing_that_is_taken_for_whole(root, tmp_path, forks, at):
    assert forks.call(build_and_die, root, tmp_path, at) == -signal.SIGKILL
    assert files(tmp_path) != []  # what it had begun
    assert not list(tmp_path.glob("[!.]*.patches"))
    data = TrainData.open(root)
    np.testing.assert_array_equal(open_cache(tmp_path, data).read_many([7])[0][0], data.read(7)[0])
    assert len(files(tmp_path)) == 1  # and it is gone


def build_and_count(root, directory):
    """Build or wait; every build leaves a line."""
    build = cache_build._build

    def counted(*args):
        with (directory.parent / "builds").open("a") as file:
            file.write("built\n")
        build(*args)

    cache_build._build = counted
    assert open_cache(directory, TrainData.open(root)) is not None


def test_processes_that_come_at_once_build_once(root, tmp_path, forks):
    processes = [forks.start(build_and_count, root, tmp_path / "cache") for _ in range(4)]
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert (tmp_path / "builds").read_text() == "built\n"


def test_a_full_disk_is_a_line_and_the_set_is_read(root, tmp_path, monkeypatch, caplog):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with caplog.at_level(logging.WARNING):
        assert open_cache(tmp_path, TrainData.open(root)) is None
    assert len(caplog.records) == 1
    assert "No space left" in caplog.text
    assert files(tmp_path) == []


def test_a_damaged_patch_stops_the_build(tmp_path):
    make_set(tmp_path / "set", patches=4, size=16)
    chunk_path(tmp_path / "set", "x", TrainData.open(tmp_path / "set").x, 2).write_bytes(b"nothing")
    with pytest.raises(UserError, match="damaged"):
        open_cache(tmp_path / "cache", TrainData.open(tmp_path / "set"))
    assert files(tmp_path / "cache") == []


@pytest.mark.parametrize("inside", [".", "cache", "data.zarr/../deep/cache"])
def test_the_cache_is_never_inside_the_set(root, inside):
    with pytest.raises(UserError, match="inside the train data directory"):
        open_cache(root / inside, TrainData.open(root))


def test_a_link_into_the_set_is_inside_too(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    with pytest.raises(UserError, match="inside the train data directory"):
        open_cache(tmp_path / "link" / "cache", TrainData.open(root))
