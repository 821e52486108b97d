"""However many processes did the work, on one machine or on a cluster of which one died: the same bytes."""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest

from darts_train.base.errors import UserError
from darts_train.base.executor import open_executor
from darts_train.options.preprocessing import Output, Parallel, Patches, Raster
from darts_train.preprocess import commits, tiles
from darts_train.preprocess.raster import preprocess_raster_train_data
from tests.preprocess.test_killed import TABLE, digests
from tests.support.cluster import dask_cluster

SIDE = 128
TILE = SIDE * SIDE * 4  # four tiles of each scene


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "TILE_PIXELS", TILE)


def write(root, overwrite=False, **parallel):
    return preprocess_raster_train_data(
        Raster(table=TABLE, scale=1e-4, remap="0:0,1:0,2:0,3:0,4:1", bands=("red", "ndvi")),
        Output(train_data_dir=root, overwrite=overwrite),
        Patches(patch_size=SIDE, overlap=0, exclude_nan=False),
        Parallel(**parallel),
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    root = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "TILE_PIXELS", TILE)
        write(root, workers=1)
    return root


@pytest.fixture(scope="module")
def expected(alone):
    return digests(alone)


def kill_one(seen, done):
    """SIGKILL to the first process that is seen at work on a tile."""
    while not done.is_set():
        for pid in seen():
            os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.01)


def staged(root):
    return list((Path(root) / ".journal" / "staging").glob("*"))


def children_at_work(root):
    """Worker processes of ours, once a second tile is staged."""
    if len(staged(root)) < 2:
        return []
    return [p.pid for p in psutil.Process().children(recursive=True) if "popen_loky" in " ".join(p.cmdline())][-1:]


def test_a_process_is_killed(tmp_path, expected, caplog):
    done = threading.Event()
    thread = threading.Thread(target=kill_one, args=(lambda: children_at_work(tmp_path), done))
    thread.start()
    try:
        write(tmp_path, workers=2)
    finally:
        done.set()
        thread.join()
    assert "a worker process was killed" in caplog.text
    assert digests(tmp_path) == expected


def test_a_scheduler_that_is_none_leaves_nothing_and_removes_nothing(tmp_path, alone, expected):
    with pytest.raises(UserError, match="--scheduler: nothing does not answer"):
        write(tmp_path / "new", scheduler="nothing")
    assert not (tmp_path / "new").exists()
    shutil.copytree(alone, tmp_path / "old")
    with pytest.raises(UserError, match="--scheduler"):
        write(tmp_path / "old", overwrite=True, scheduler="nothing")
    assert digests(tmp_path / "old") == expected


def test_more_processes_than_tiles_are_not_started(tmp_path, expected, monkeypatch):
    asked = []
    monkeypatch.setattr(commits, "open_executor", lambda *how: asked.append(how[0]) or open_executor(1))
    write(tmp_path, workers=1000)
    assert max(asked) < 100
    assert digests(tmp_path) == expected


def test_a_cluster_whose_worker_is_killed(tmp_path, expected):
    with dask_cluster() as address:

        def workers():
            every = psutil.Process().children(recursive=True)
            return [p.pid for p in every if "spawn_main" in " ".join(p.cmdline())][:1] if staged(tmp_path) else []

        done = threading.Event()
        thread = threading.Thread(target=kill_one, args=(workers, done))
        thread.start()
        try:
            write(tmp_path, scheduler=address)
        finally:
            done.set()
            thread.join()
    assert digests(tmp_path) == expected
