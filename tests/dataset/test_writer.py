import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import zarr
from shapely.geometry import box

from darts_train.base.errors import UserError
from darts_train.dataset import journal, layout
from darts_train.dataset.identity import patch_checksum
from darts_train.dataset.reader import TrainData
from darts_train.dataset.schema import LEFT_OUT, METADATA_SCHEMA, SceneRecord
from darts_train.dataset.writer import TrainDataWriter
from tests.dataset.killing import contents
from tests.support.sets import make_config, make_set, make_tile


def two_scenes(root, config, seed=0):
    with TrainDataWriter.open(root, config) as writer:
        for scene in range(2):
            tile = make_tile(config, scene, "A", 2, seed)
            if tile.key not in writer.tiles_done:
                writer.commit(tile)
        return writer.finalise()


def test_plain_zarr_and_pandas_read_what_was_written(tmp_path):
    config = make_config(size=16)
    tile = make_tile(config, 0, "A", 3, seed=0, nodata=True)
    with TrainDataWriter.open(tmp_path / "set", config) as writer:
        writer.commit(tile)
        writer.finalise()
    group = zarr.open_group(str(tmp_path / "set/data.zarr"), mode="r")
    frame = pd.read_parquet(tmp_path / "set/metadata.parquet")
    np.testing.assert_array_equal(group["x"][:], tile.x)
    np.testing.assert_array_equal(group["y"][:], tile.y)
    assert (group["x"].fill_value, group["y"].fill_value) == (65535, 255)
    assert group["x"].chunks == (1, 3, 16, 16)
    assert group["x"].attrs["nodata"] == 65535
    assert group["x"].attrs["bands"][0] == {
        "name": "blue", "scale": 1e-4, "offset": -0.1, "low": 0.0, "high": 0.3, "optical": True,
    }  # fmt: skip
    assert group["y"].attrs.asdict() == {"classes": ["background", "positive"], "ignore_index": 255}
    assert isinstance(frame.index, pd.RangeIndex)
    assert list(frame.columns) == METADATA_SCHEMA.names
    assert frame["class_fractions"][0].tolist() == pytest.approx(tile.rows[0].class_fractions)
    assert frame["checksum"].tolist() == [patch_checksum(x, y) for x, y in zip(tile.x, tile.y, strict=True)]


def test_patches_of_nothing_but_fill_values_are_written_as_files(tmp_path):
    config = make_config(bands=1, size=8)
    tile = make_tile(config, 0, "A", 1, 0)
    tile = replace(tile, x=np.full_like(tile.x, 65535), y=np.full_like(tile.y, 255))
    with TrainDataWriter.open(tmp_path, config) as writer:
        writer.commit(tile)
        writer.finalise()
    assert (tmp_path / "data.zarr/x/c.0.0.0.0").is_file()
    assert (tmp_path / "data.zarr/y/c.0.0.0").is_file()


def test_geopandas_reads_geometry_in_4326_and_its_absence(tmp_path):
    make_set(tmp_path / "none", patches=4, size=8)
    frame = geopandas.read_parquet(tmp_path / "none/metadata.parquet")
    assert frame.geometry.isna().all()
    assert frame.crs.to_epsg() == 4326
    config = make_config(size=8)
    tile = make_tile(config, 0, "A", 2, 0)
    shape = box(10, 50, 11, 52)
    tile = replace(tile, rows=[replace(tile.rows[0], geometry=shape.wkb), tile.rows[1]])
    with TrainDataWriter.open(tmp_path / "some", config) as writer:
        writer.commit(tile)
        writer.finalise()
    frame = geopandas.read_parquet(tmp_path / "some/metadata.parquet")
    assert frame.geometry[0].equals(shape)
    assert frame.geometry[1] is None
    assert isinstance(frame.index, pd.RangeIndex)


def test_labels_and_scenes_are_written_with_the_scene(tmp_path):
    config = make_config(size=8)
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [1.5, 2]},
        "properties": {"név": float("nan")},
    }
    tile = make_tile(config, 0, "A", 2, 0)
    clipped = {"red": np.int64(3), "blue": 0}
    tile = replace(tile, labels=[feature], scene=replace(tile.scene, clipped=clipped, date="2020-01-02"))
    with TrainDataWriter.open(tmp_path, config) as writer:
        writer.commit(tile)
        writer.skip(SceneRecord("bad", LEFT_OUT, reason="no labels", source="bad.tif"))
        summary = writer.finalise()
    assert json.loads((tmp_path / "labels.geojson").read_text())["features"] == [
        feature | {"properties": {"név": None}}
    ]
    scenes = pd.read_parquet(tmp_path / "scenes.parquet").set_index("scene_id")
    assert scenes["status"].to_dict() == {"scene00": "done", "bad": "left out"}
    assert scenes["patches"].to_dict() == {"scene00": 2, "bad": 0}
    assert scenes.loc["scene00", "clipped"] == [("red", 3)]
    assert scenes.loc["bad", "reason"] == "no labels"
    assert (summary.patches, summary.scenes, summary.left_out, summary.empty) == (2, 1, 1, 1)
    assert "1 left out (see scenes.parquet)" in summary.summary()


def test_without_labels_and_patches_the_files_are_empty_but_typed(tmp_path):
    with TrainDataWriter.open(tmp_path, make_config()) as writer:
        summary = writer.finalise()
    assert summary.patches == 0
    assert json.loads((tmp_path / "labels.geojson").read_text()) == {"type": "FeatureCollection", "features": []}
    assert pq.read_schema(tmp_path / "metadata.parquet").equals(METADATA_SCHEMA)
    with pytest.raises(UserError, match="has no patches"):
        TrainData.open(tmp_path)


def test_the_same_call_again_changes_no_byte(tmp_path):
    config = make_config(size=8)
    first = two_scenes(tmp_path, config)
    before = contents(tmp_path)
    assert two_scenes(tmp_path, config) == first
    assert contents(tmp_path) == before
    assert first.data_hash == TrainData.open(tmp_path).data_hash


def test_no_byte_depends_on_the_place(tmp_path):
    for name in ("a", "somewhere/else"):
        two_scenes(tmp_path / name, make_config(size=64))
    assert contents(tmp_path / "a") == contents(tmp_path / "somewhere/else")


def test_more_scenes_are_added_and_the_set_is_unfinished_meanwhile(tmp_path):
    config = make_config(size=8)
    before = two_scenes(tmp_path, config)
    with TrainDataWriter.open(tmp_path, config) as writer:
        assert writer.tiles_done == {"scene00#0", "scene01#0"}
        assert writer.scenes_done == {"scene00", "scene01"}
        assert len(TrainData.open(tmp_path)) == 4
        writer.commit(make_tile(config, 2, "B", 3, 0))
        with pytest.raises(UserError, match="not finished"):
            TrainData.open(tmp_path)
        after = writer.finalise()
    assert len(TrainData.open(tmp_path)) == 7
    assert before.data_hash != after.data_hash


def test_a_scene_left_out_is_recorded_once_and_can_be_mended(tmp_path):
    config, record = make_config(size=8), SceneRecord("scene00", LEFT_OUT, reason="no labels")
    for _ in range(2):
        with TrainDataWriter.open(tmp_path, config) as writer:
            writer.skip(record)
            writer.finalise()
            assert writer.scenes_left_out == {"scene00"}
            assert not writer.scenes_done
    assert sorted(path.name for path in (tmp_path / ".journal").glob("*.json")) == ["000000.json"]
    with TrainDataWriter.open(tmp_path, config) as writer:
        writer.commit(make_tile(config, 0, "A", 1, 0))
        writer.finalise()
    scenes = pd.read_parquet(tmp_path / "scenes.parquet")
    assert scenes["status"].tolist() == ["done"]


def test_other_settings_are_refused_with_the_differences(tmp_path):
    two_scenes(tmp_path, make_config(size=8))
    before = contents(tmp_path)
    with pytest.raises(UserError, match=r"patch_size: 8 there, 16 now.*--overwrite"):
        TrainDataWriter.open(tmp_path, make_config(size=16))
    assert contents(tmp_path) == before


def test_overwrite_begins_anew_and_leaves_foreign_files(tmp_path):
    two_scenes(tmp_path / "set", make_config(size=8))
    for name in ("notes.txt", ".metadata.parquet", "data.zarr.bak", ".journal.tmp"):
        (tmp_path / "set" / name).write_text("mine")
    config = make_config(size=16)
    with TrainDataWriter.open(tmp_path / "set", config, overwrite=True) as writer:
        assert not writer.tiles_done
        writer.finalise()
    assert (tmp_path / "set/notes.txt").read_text() == "mine"
    assert all((tmp_path / "set" / name).exists() for name in (".metadata.parquet", "data.zarr.bak", ".journal.tmp"))
    assert not list((tmp_path / "set/data.zarr/x").glob("c*"))


@pytest.mark.parametrize("name", ["metadata.parquet", "data.zarr"])
def test_what_was_made_elsewhere_is_not_touched(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=f"holds {name} but no journal of ours.*another directory, or --overwrite"):
        TrainDataWriter.open(tmp_path, make_config())
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with TrainDataWriter.open(tmp_path, make_config(), overwrite=True) as writer:
        writer.finalise()


@pytest.mark.parametrize("name", ["config.toml", "labels.geojson"])
def test_the_files_of_somebody_who_works_here_are_not_even_overwritten(tmp_path, name):
    (tmp_path / name).write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(UserError, match=f"holds {name}, but no train data; choose another directory"):
            TrainDataWriter.open(tmp_path, make_config(), overwrite)
    assert contents(tmp_path) == {name: b"mine"}


def test_one_writer_at_a_time(tmp_path):
    with TrainDataWriter.open(tmp_path, make_config()):
        with pytest.raises(UserError, match="being written by another process"):
            TrainDataWriter.open(tmp_path, make_config())
        with pytest.raises(UserError, match="being written by another process"):
            TrainDataWriter.open(tmp_path, make_config(), overwrite=True)
    TrainDataWriter.open(tmp_path, make_config()).close()


def test_a_refused_open_lets_go_of_the_lock(tmp_path):
    two_scenes(tmp_path, make_config(size=8))
    for _ in range(2):
        with pytest.raises(UserError, match="other settings"):
            TrainDataWriter.open(tmp_path, make_config(size=16))


def test_places_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--train-data-dir: .*file is not a directory"):
        TrainDataWriter.open(tmp_path / "file", make_config())


def break_fragment(root):
    (root / ".journal/000000.json").write_text('{"scene_id": "')


def cut_list(root):
    path = root / ".journal/000000.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rows": []}))


def move_start(root):
    path = root / ".journal/000001.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"start": 7}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_fragment, "000000.json is damaged.*--overwrite"),
        (cut_list, "000000.json is damaged.*patches or labels are missing"),
        (move_start, "000001.json begins at patch 7 instead of 2"),
        (lambda root: (root / ".journal/000000.json").unlink(), "000000.json is missing"),
        (lambda root: (root / ".journal/config.toml").write_text("x"), "config.toml: not valid TOML"),
        (lambda root: (root / "data.zarr/y/c.1.0.0").unlink(), "y holds 3 of 4 patches; use --overwrite"),
        (lambda root: (root / "data.zarr/x/zarr.json").write_text("{"), "data.zarr is damaged"),
        (lambda root: (root / "data.zarr/x/zarr.json").unlink(), "data.zarr is damaged"),
        (lambda root: shutil.rmtree(root / "data.zarr"), "data.zarr is damaged"),
    ],
)
def test_damage_to_committed_work_is_refused_in_one_line(tmp_path, damage, message):
    config = make_config(size=8)
    two_scenes(tmp_path, config)
    damage(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        TrainDataWriter.open(tmp_path, config)
    assert "\n" not in str(caught.value)
    two_scenes_again = TrainDataWriter.open(tmp_path, config, overwrite=True)
    two_scenes_again.close()


def test_leftovers_of_killed_writers_are_swept_and_nothing_else(tmp_path):
    config = make_config(size=8)
    two_scenes(tmp_path, config)
    before = contents(tmp_path)
    orphans = (
        ".metadata.parquet.123.tmp", ".journal/.000002.json.9.tmp", "data.zarr/x/c.4.0.0.0", "data.zarr/x/c.9.0.0.0",
        "data.zarr/y/c.5.0.0", "data.zarr/x/c.4.0.0.abc.partial", "data.zarr/y/zarr.abc.partial",
        "data.zarr/zarr.abc.partial",
    )  # fmt: skip
    for name in orphans:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".hidden.tmp").write_text("mine")
    two_scenes(tmp_path, config)
    assert contents(tmp_path) == before | {".hidden.tmp": b"mine"}


def test_a_commit_that_fails_leaves_no_trace_and_the_set_can_go_on(tmp_path, monkeypatch):
    config = make_config(size=8)
    two_scenes(tmp_path / "whole", config)
    with TrainDataWriter.open(tmp_path / "set", config) as writer:
        writer.commit(make_tile(config, 0, "A", 2, 0))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", _disk_full)
            with pytest.raises(UserError, match="cannot be written: No space left on device"):
                writer.commit(make_tile(config, 1, "A", 2, 0))
        assert writer.tiles_done == {"scene00#0"}
        assert writer.finalise().patches == 2
    assert len(TrainData.open(tmp_path / "set")) == 2
    two_scenes(tmp_path / "set", config)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


@pytest.mark.parametrize("committed", [False, True])
def test_after_ctrl_c_in_a_commit_the_journal_on_disk_decides(tmp_path, monkeypatch, committed):
    config = make_config(size=8)
    two_scenes(tmp_path / "whole", config)
    real = journal.write_bytes

    def interrupted(path, data):
        if committed:
            real(path, data)
        raise KeyboardInterrupt

    with TrainDataWriter.open(tmp_path / "set", config) as writer:
        with monkeypatch.context() as patch:
            patch.setattr(journal, "write_bytes", interrupted)
            with pytest.raises(KeyboardInterrupt):
                writer.commit(make_tile(config, 0, "A", 2, 0))
        assert writer.finalise().patches == (2 if committed else 0)
        assert writer.scenes_done == ({"scene00"} if committed else set())
    two_scenes(tmp_path / "set", config)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


def test_names_that_are_no_utf8_are_kept_readable(tmp_path):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    config = make_config(size=8, image_dir=Path(name))
    tile = make_tile(config, 0, "A", 1, 0)
    tile = replace(
        tile, scene_id=name, rows=[replace(tile.rows[0], sample_id=name, source=name)],
        scene=replace(tile.scene, scene_id=name, source=name),
        labels=[{"type": "Feature", "properties": {"file": name}}],
    )  # fmt: skip
    for _ in range(2):
        with TrainDataWriter.open(tmp_path, config) as writer:
            if tile.key not in writer.tiles_done:
                writer.commit(tile)
            writer.finalise()
    assert TrainData.open(tmp_path).metadata["sample_id"].tolist() == ["caf?"]
    assert pd.read_parquet(tmp_path / "scenes.parquet")["source"].tolist() == ["caf?"]


def _disk_full(_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((2, 3, 8, 8), np.int32)}, "x is int32"),
        ({"x": np.zeros((2, 2, 8, 8), np.uint16)}, r"x is uint16 \(2, 2, 8, 8\)"),
        ({"y": np.zeros((1, 8, 8), np.uint8)}, r"y is uint8 \(1, 8, 8\) for 2 rows"),
        ({"y": np.full((2, 8, 8), 7, np.uint8)}, r"y holds \[7\]"),
        ({"scene_id": "other"}, "a row of another scene"),
        ({"number": -1}, "a number below 0"),
        ({"scene": SceneRecord("other")}, "its scene record is of another scene"),
        ({"scene": SceneRecord("scene00", LEFT_OUT)}, "not done"),
    ],
)
def test_a_tile_that_does_not_fit_is_refused_before_anything_is_written(tmp_path, change, message):
    config = make_config(size=8)
    with TrainDataWriter.open(tmp_path, config) as writer:
        before = contents(tmp_path)
        with pytest.raises(ValueError, match=message):
            writer.commit(replace(make_tile(config, 0, "A", 2, 0), **change))
        assert contents(tmp_path) == before


def test_nothing_is_committed_twice(tmp_path):
    config = make_config(size=8)
    tile = make_tile(config, 0, "A", 1, 0)
    with TrainDataWriter.open(tmp_path, config) as writer:
        writer.commit(replace(tile, scene=None))
        with pytest.raises(ValueError, match="scene00#0 was committed before"):
            writer.commit(tile)
        writer.commit(replace(tile, number=1))
        with pytest.raises(ValueError, match="scene00#2 was committed before"):
            writer.commit(replace(tile, number=2))
        with pytest.raises(ValueError, match="was done before"):
            writer.skip(SceneRecord("scene00", LEFT_OUT, reason="late"))
        with pytest.raises(ValueError, match="a reason"):
            writer.skip(SceneRecord("other", LEFT_OUT))


def test_the_names_of_owned_files_are_all_that_a_set_has(tmp_path):
    make_set(tmp_path, patches=4, size=8)
    owned = {*layout.PRODUCTS, layout.DATA, layout.JOURNAL} - {layout.ADDED}  # added later, by others
    assert {path.name for path in tmp_path.iterdir()} == owned
