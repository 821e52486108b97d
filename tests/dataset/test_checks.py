import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import zarr

from darts_train.base.errors import UserError
from darts_train.dataset.checks import validate_train_data
from darts_train.dataset.writer import TrainDataWriter
from darts_train.options.preprocessing import Inspect
from tests.support.sets import make_config, make_old_set, make_set, make_tile


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    root = tmp_path_factory.mktemp("sound") / "set"
    make_set(root, patches=6, size=16, nodata=True)
    return root


@pytest.fixture
def copy(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "set")


def check(root):
    return validate_train_data(Inspect(train_data_dir=root))


def test_a_sound_set_is_sound(sound):
    report = check(sound)
    assert (report.ok, report.problems, report.notes) == (True, (), ())
    assert report.counts == {"patches": 6, "damaged": 0}
    assert report.summary() == f"{sound}: 6 patches read, sound"


def test_an_older_set_is_sound_but_for_its_labels(tmp_path):
    report = check(make_old_set(tmp_path / "set"))
    assert report.ok
    assert report.notes == ("labels.geojson is missing.",)


def repack(root, array, index, values):
    """Write other pixels with a checksum of zarr that fits them."""
    zarr.open_group(str(root / "data.zarr"), mode="r+")[array][index] = values


def set_empty(root):
    frame = pd.read_parquet(root / "metadata.parquet")
    frame.assign(empty=~frame["empty"]).to_parquet(root / "metadata.parquet")


def drop_scene(root):
    pd.read_parquet(root / "scenes.parquet").iloc[1:].to_parquet(root / "scenes.parquet")


def set_attribute(root):
    zarr.open_group(str(root / "data.zarr"), mode="r+")["y"].attrs["ignore_index"] = 2


@pytest.mark.parametrize(
    ("damage", "message", "count"),
    [
        (lambda root: (root / "data.zarr/x/c.2.0.0.0").unlink(), "data.zarr/x: patch 2 is missing", 1),
        (lambda root: (root / "data.zarr/y/c.2.0.0").write_bytes(b"abc"), "data.zarr/y: patch 2 is damaged", 1),
        (lambda root: repack(root, "x", 4, 77), "patch 4: its pixels are not those that were written", 1),
        (lambda root: repack(root, "y", (1, 0, 0), 9), "patch 1: y holds 9; allowed are 0, 1, 255", 2),
        (set_empty, "patch 0: column empty says", 6),
        (set_attribute, "data.zarr/y: attribute ignore_index is 2, config.toml says 255", 1),
        (lambda root: (root / "metadata.parquet").write_bytes(b""), "metadata.parquet: not a readable parquet", 1),
        (lambda root: (root / "scenes.parquet").unlink(), "scenes.parquet cannot be read", 1),
        (lambda root: (root / "scenes.parquet").write_bytes(b"PAR1"), "scenes.parquet cannot be read", 1),
        (drop_scene, "scenes.parquet counts", 1),
        (lambda root: (root / "config.toml").write_bytes(b"\xff"), "config.toml: not a text file", 1),
    ],
)
def test_what_is_wrong_is_named(copy, damage, message, count):
    damage(copy)
    report = check(copy)
    assert not report.ok
    assert any(message in problem for problem in report.problems), report.problems
    assert len(report.problems) == count
    assert f"{count} problem{'s' if count > 1 else ''}\n  " in report.summary()


def test_everything_wrong_is_reported_together(copy):
    (copy / "data.zarr/x/c.0.0.0.0").unlink()
    (copy / "data.zarr/x/c.5.0.0.0").write_bytes(b"")
    report = check(copy)
    assert len(report.problems) == 2
    assert report.counts == {"patches": 6, "damaged": 2}


def test_bands_without_data_and_constant_bands_and_classes_never_seen(tmp_path):
    config = make_config(size=8, classes=4)
    tile = make_tile(config, 0, "A", 2, 0)
    x, y = tile.x.copy(), np.where(tile.y == 3, 0, tile.y)
    x[:, 0], x[:, 1] = 65535, 1000
    with TrainDataWriter.open(tmp_path, config) as writer:
        writer.commit(replace(tile, x=x, y=y))
        writer.finalise()
    report = check(tmp_path)
    assert report.problems == ("band blue has no data anywhere.",)
    assert report.notes == ("band green is 0 everywhere.", "never seen: class class3.")


def test_a_summary_does_not_list_thousands(copy):
    for chunk in (copy / "data.zarr/x").glob("c.*"):
        chunk.unlink()
    report = check(copy)
    report = replace(report, problems=report.problems * 10)
    assert report.summary().count("\n") == 21
    assert report.summary().endswith("and 40 more")


@pytest.mark.parametrize("content", [None, "notes.txt"])
def test_an_empty_directory_and_one_of_other_things_are_no_sets(tmp_path, content):
    if content:
        (tmp_path / content).write_text("x")
    report = check(tmp_path)
    assert not report.ok
    assert "is not a train data directory: config.toml, data.zarr, metadata.parquet missing" in report.problems[0]


def test_a_directory_that_is_not_there_raises(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        check(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is not a directory"):
        check(tmp_path / "file")
