"""SIGKILL at any moment: the resumed directory is that of an undisturbed run, byte for byte."""

import hashlib
import random
import time
from pathlib import Path

import pytest

from tests.support.forking import fork_server

TABLE = Path(__file__).with_name("table.csv")
KILLS = 10


def write(root: Path) -> None:
    """The bundled scenes in many small tiles, one thread."""
    from darts_train.options.preprocessing import Output, Parallel, Patches, Raster
    from darts_train.preprocess import tiles
    from darts_train.preprocess.raster import preprocess_raster_train_data

    tiles.TILE_PIXELS = 128 * 128 * 4
    preprocess_raster_train_data(
        Raster(table=TABLE, scale=1e-4, remap="0:0,1:0,2:0,3:0,4:1", bands=("red", "ndvi")),
        Output(train_data_dir=root),
        Patches(patch_size=128, overlap=0, exclude_nan=False),
        Parallel(workers=1),
    )


@pytest.fixture(scope="module")
def server():
    with fork_server("tests.preprocess.test_killed", "darts_train.preprocess.raster", "pandas", "tomlkit") as server:
        yield server


def digests(root: Path) -> dict[str, str]:
    """Hash of every file of the set, its journal too, but for the lock."""
    files = (path for path in root.rglob("*") if path.is_file() and path.name != "lock")
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_ten_kills_leave_no_trace(server, tmp_path):
    for name in ("first", "whole"):  # the first one warms the server up
        started = time.monotonic()
        process = server.start(write, tmp_path / name)
        process.join()
        seconds = time.monotonic() - started
        assert process.exitcode == 0
    whole = digests(tmp_path / "whole")
    assert len(whole) > 2 * 32
    moments, kills, rounds = random.Random(7), 0, 0
    while kills < KILLS:
        rounds += 1
        root = tmp_path / f"killed{rounds}"
        process = server.start(write, root)
        while kills < KILLS:
            process.join(moments.uniform(0.0, seconds))
            if process.exitcode is not None:
                break
            process.kill()
            process.join()
            kills += 1
            process = server.start(write, root)
        process.join()
        assert process.exitcode == 0
        assert digests(root) == whole
    assert kills == KILLS
