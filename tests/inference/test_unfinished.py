"""A prediction that was killed goes on, and what it then gives is what it would have given."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darts_train.base.errors import UserError
from darts_train.features.stack import FeatureStack
from darts_train.inference import scene_maps
from darts_train.inference.scene_maps import map_scenes
from darts_train.inference.windows import reading
from darts_train.inference.windows.streaming import Mapper, Preview
from darts_train.inference.writing import unfinished
from darts_train.inference.writing.manifest import facts
from darts_train.options.predicting import Maps
from darts_train.scenes.raster_scene import RasterScene
from tests.support.forking import fork_server

from .scenes import BANDS, point_model, write_scene

HEIGHT = 100


def mapper(overlap=8):
    return Mapper(point_model(), FeatureStack(BANDS), 32, overlap, 3)


def mapped(path: Path, maps: Maps, overlap=8):
    (found,) = map_scenes(mapper(overlap), [RasterScene.open(path, scale=1e-4)], maps)
    return found


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def killed_after(strips: int, path: Path, maps: Maps) -> None:
    """Map in this process, which is killed when so many strips are finished; 0: when all are, before polygons."""
    unfinished.STRIP_ROWS = 16
    save = unfinished.Unfinished._save

    def save_and_die(work):
        save(work)
        if len(work.heights) == strips:
            os.kill(os.getpid(), signal.SIGKILL)

    unfinished.Unfinished._save = save_and_die
    if not strips:
        scene_maps.write_segments = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    mapped(path, maps)


@pytest.fixture(scope="module", autouse=True)
def low_strips():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unfinished, "STRIP_ROWS", 16)
        yield


@pytest.fixture(scope="module")
def server():
    with fork_server("tests.inference.test_unfinished") as server:
        yield server


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scene") / "scene.tif", HEIGHT, 40)


@pytest.fixture(scope="module")
def whole(scene, tmp_path_factory):
    return contents(mapped(scene, Maps(out_dir=tmp_path_factory.mktemp("whole"))).directory)


@pytest.mark.parametrize("strips", [1, 3, 0])
def test_killed_and_taken_up_is_the_same(server, scene, whole, tmp_path, strips, monkeypatch):
    maps = Maps(out_dir=tmp_path)
    assert server.call(killed_after, strips, scene, maps) == -signal.SIGKILL
    assert not (tmp_path / "scene").exists()
    asked, read = [], reading.read_area
    monkeypatch.setattr(
        reading, "read_area", lambda scene, stack, area: (asked.append(area.y), read(scene, stack, area))[1]
    )
    found = mapped(scene, maps)
    assert contents(found.directory) == whole
    assert [path.name for path in tmp_path.iterdir()] == ["scene"]
    assert min(asked, default=HEIGHT) == {1: 0, 3: 48, 0: HEIGHT}[strips]  # not from the beginning


@pytest.mark.parametrize("size", [(100, 40), (30, 20)])
def test_the_key_is_that_of_the_scene_whatever_is_mapped_beside_it(size, tmp_path):
    """The reach is measured where any scene of a call is larger than a window; a smaller one has no use for it."""
    model, stack = point_model(), FeatureStack(BANDS)
    small = RasterScene.open(write_scene(tmp_path / "small.tif", 30, 20), scale=1e-4)
    other = RasterScene.open(write_scene(tmp_path / "other.tif", *size), scale=1e-4)
    mappers = [Mapper(model, stack, 32, overlap, 3, halo=overlap // 4) for overlap in (0, 8)]
    keys = [[facts(mapper, scene, Maps(out_dir=tmp_path))["key"] for mapper in mappers] for scene in (small, other)]
    assert len(set(keys[0])) == 1
    assert len(set(keys[1])) == (2 if max(size) > 32 else 1)
    maps = [[rows.probabilities for rows in mapper.run(small, Preview.of(small.grid))] for mapper in mappers]
    np.testing.assert_array_equal(*maps)


def test_other_settings_begin_anew(server, scene, tmp_path, whole):
    maps = Maps(out_dir=tmp_path)
    assert server.call(killed_after, 3, scene, replace(maps, threshold=0.9)) == -signal.SIGKILL
    assert contents(mapped(scene, maps).directory) == whole


def test_another_scene_of_the_name_begins_anew(server, scene, tmp_path):
    maps, copy = Maps(out_dir=tmp_path / "maps"), tmp_path / "scene.tif"
    copy.write_bytes(scene.read_bytes())
    assert server.call(killed_after, 3, copy, maps) == -signal.SIGKILL
    write_scene(copy, HEIGHT, 30)
    found = mapped(copy, maps)
    assert found.megapixels == HEIGHT * 30 / 1e6


def test_two_processes_at_one_map(scene, tmp_path):
    grid = RasterScene.open(scene).grid
    with (
        unfinished.unfinished_map(tmp_path / "scene", "key", grid),
        pytest.raises(UserError, match="another process"),
    ):
        mapped(scene, Maps(out_dir=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_is_none_is_not_believed(scene, whole, tmp_path):
    directory = tmp_path / ".scene.unfinished"
    directory.mkdir()
    (directory / "journal.json").write_text('{"key": 3')
    assert contents(mapped(scene, Maps(out_dir=tmp_path)).directory) == whole
