"""What is written of a scene: the layout of the rasters, masks of photos, submissions; and a disk that is full."""

import json
import os
import resource
import tarfile

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from darts_train.base.errors import UserError
from darts_train.features.stack import FeatureStack
from darts_train.inference.scene_maps import check_maps, map_scenes
from darts_train.inference.windows.streaming import Mapper
from darts_train.inference.writing import unfinished
from darts_train.inference.writing.rasters import Mosaic, tiff, write_cog
from darts_train.inference.writing.submission import member_names, write_previews, write_submission
from darts_train.options.predicting import Maps, Submission
from darts_train.raster.grid import Grid
from darts_train.scenes.photos.fit import FittedScene, fitted_grid
from darts_train.scenes.raster_scene import RasterScene

from .scenes import BANDS, point_model, write_scene


def mapper(**model):
    return Mapper(point_model(**model), FeatureStack(BANDS), 32, 8, 4)


def mapped(scene, out_dir, **settings):
    (found,) = map_scenes(mapper(), [scene], Maps(out_dir=out_dir, **settings))
    return found


def opened(path, height=40, width=60, **settings):
    return RasterScene.open(write_scene(path, height, width, **settings), scale=1e-4)


def pixels(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def tile_offsets(dataset, level):
    """Places in the file of the tiles of a level (-1: full resolution), row by row."""
    options = {} if level < 0 else {"overview_level": level}
    with rasterio.open(dataset.name, **options) as part:
        height, across = part.block_shapes[0][0], range(-(-part.width // part.block_shapes[0][1]))
        names = [f"BLOCK_OFFSET_{x}_{y}" for y in range(-(-part.height // height)) for x in across]
        return [int(part.get_tag_item(name, "TIFF", bidx=1, ovr=None) or 0) for name in names]


def test_the_layout_is_that_of_a_cog(tmp_path):
    """Tiles, halved overviews down to one tile, all directories first, data of overviews before that of the whole."""
    height, width = 700, 1100
    values = (np.arange(height * width) % 101).astype(np.uint8).reshape(height, width)
    values[:100] = 255
    strips = []
    for top in (0, 256, 512):
        strips.append((tmp_path / f"{top}.tif", min(256, height - top)))
        strips[-1][0].write_bytes(tiff(values[None, top : top + 256]))
    grid = Grid(width, height, (3.0, 0.5, 500000.0, 0.5, -3.0, 7600000.0), "EPSG:32608")
    mosaic = Mosaic(grid, tuple(strips), ("class",), {"class_1": "a & <b>"})
    write_cog(mosaic, tmp_path / "m.vrt", tmp_path / "m.tif", "nearest")
    with rasterio.open(tmp_path / "m.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.block_shapes == [(512, 512)]
        assert dataset.overviews(1) == [2, 4]
        assert (dataset.crs.to_epsg(), dataset.nodata) == (32608, 255)
        assert dataset.transform == Affine(*grid.transform)  # turned, as it was
        assert (dataset.tags()["class_1"], dataset.descriptions) == ("a & <b>", ("class",))
        levels = [tile_offsets(dataset, level) for level in (1, 0, -1)]
        with rasterio.open(tmp_path / "m.tif", overview_level=0) as half:
            assert half.shape == (350, 550)
            assert (half.read(1)[:49] == 255).all()
        assert (dataset.read(1) == values).all()
    every = [place for level in levels for place in level]
    assert every == sorted(every)
    assert min(every) > 0


def test_a_photo_has_a_mask_of_its_size(tmp_path):
    scene = opened(tmp_path / "photo.tif", 40, 60, crs=None)
    found = mapped(scene, tmp_path / "maps", mask_values="0,255", polygons=("none",))
    assert ": no polygons, 0.0 Mpx in " in found.summary()  # not 0 of them: none were looked for
    assert (found.segments, found.polygons) == (None, 0)
    mask, classes = Image.open(found.directory / "classes.png"), pixels(found.classes)[0]
    assert (mask.mode, mask.size) == ("L", (60, 40))
    assert np.array_equal(np.asarray(mask), np.where(classes == 1, 255, 0))
    assert {0, 1, 255} == set(np.unique(classes))
    with pytest.raises(UserError, match="--mask-values: 0,255"):
        check_maps(Maps(out_dir=tmp_path, mask_values="0,255"), [], mapper(classes=("a", "b", "c")))
    with pytest.raises(UserError, match="--polygons: none goes with no other"):
        check_maps(Maps(out_dir=tmp_path, polygons=("gpkg", "none")), [], mapper())


@pytest.mark.parametrize("size", [(32, 32), (32, 21)])
def test_a_fitted_photo_is_decided_in_its_own_size(tmp_path, size):
    """The border of a class runs through pixels of the photo, finer than those that the network saw."""
    counts = np.full((4, 256, 384), 300, np.uint16)
    counts[:, :, 100:] = np.array([300, 300, 9000, 300], np.uint16)[:, None, None]  # a slope, once it is resampled
    path = write_scene(tmp_path / "photo.tif", 256, 384, crs=None, hole=False)
    with rasterio.open(path, "r+") as dataset:
        dataset.write(counts)
    scene = RasterScene.open(path, scale=1e-4)
    found = mapped(FittedScene(scene, fitted_grid(scene.grid, *size)), tmp_path / "maps", threshold=0.5)
    chances, classes = pixels(found.probabilities)[0], pixels(found.classes)[0]
    assert classes.shape == (256, 384) == chances.shape
    assert Image.open(found.directory / "classes.png").size == (384, 256)
    assert set(np.unique(classes)) == {0, 1}
    clear = np.abs(chances.astype(int) - 50) > 1
    assert np.array_equal(classes[clear], chances[clear] > 50)
    steps = np.flatnonzero(np.diff(chances[128].astype(int)))
    assert len(steps) > 5  # bilinear: not steps of whole pixels of the small image
    assert np.ptp(steps) < 3 * 384 // 32


def test_a_submission(tmp_path):
    scenes = [opened(tmp_path / f"{name}_satellite.tif", crs=None) for name in ("b", "a")]
    maps = tuple(map_scenes(mapper(), scenes, Maps(out_dir=tmp_path / "maps")))
    wanted = Submission(submission="{scene}_kelp.tif", submission_suffix="_satellite")
    line = write_submission(tmp_path / "maps", maps, wanted)
    path = tmp_path / "maps" / "submission.tar"
    before = path.read_bytes()
    with tarfile.open(path, "r:") as tar:
        assert tar.getnames() == ["a_kelp.tif", "b_kelp.tif"]
        tar.extractall(tmp_path / "tar", filter="data")
    classes = pixels(maps[0].classes)
    assert np.array_equal(pixels(tmp_path / "tar" / "b_kelp.tif"), classes == 1)
    share = 100 * (classes == 1).mean()
    assert line.endswith(f"2 maps, {share:.2f} % of their pixels positive")
    write_submission(tmp_path / "maps", maps, wanted)
    assert path.read_bytes() == before
    write_submission(tmp_path / "maps", maps, Submission(submission="{scene}", soft_labels=True))
    with tarfile.open(path, "r:") as tar:
        tar.extract("a_satellite", tmp_path / "tar", filter="data")
    soft, chances = pixels(tmp_path / "tar" / "a_satellite"), pixels(maps[1].probabilities)
    assert soft.dtype == np.float32
    np.testing.assert_allclose(soft, np.where(chances == 255, 0, chances / np.float32(100)), atol=1e-6)
    write_previews(tmp_path / "maps", maps, 1)
    assert [p.name for p in (tmp_path / "maps" / "previews").iterdir()] == ["a_satellite.png"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"submission": "kelp.tif"}, "once, such as"),
        ({"submission": "x/{scene}.tif"}, "once, such as"),
        ({"submission": "{scene}", "submission_suffix": "1"}, "share a name: a"),
    ],
)
def test_a_submission_that_cannot_be(options, words):
    with pytest.raises(UserError, match=words):
        member_names(Submission(**options), ["a", "a1"])
    with pytest.raises(UserError, match="--soft-labels"):
        member_names(Submission(submission="{scene}", soft_labels=True), ["a"], channels=3)


@pytest.mark.parametrize(("limit", "kept"), [(900, False), (12_000, True), (60_000, True)])
def test_a_full_disk_is_one_line_and_leaves_nothing_half(tmp_path, limit, kept, monkeypatch):
    """Files may not grow beyond so many bytes: the strips, the rasters, or the polygons meet the limit."""
    scene = opened(tmp_path / "scene.tif", 120, 150, hole=False)  # noise, which no codec makes small
    monkeypatch.setattr("darts_train.inference.windows.reading.PREVIEW_PIXELS", 10)
    monkeypatch.setattr(unfinished, "STRIP_ROWS", 16)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(UserError) as error:
            mapped(scene, tmp_path / "maps")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(str(error.value).splitlines()) == 1
    assert "cannot be written" in str(error.value)
    assert [path.name for path in (tmp_path / "maps").iterdir()] == [".scene.unfinished"] * kept
    if limit > 900:
        return
    found = mapped(scene, tmp_path / "maps")  # room was made
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["scene"]
    facts = json.loads((found.directory / "map.json").read_text())
    assert facts["results"]["files"] == sorted({p.name for p in found.directory.iterdir()} - {"map.json"})
    assert os.path.getsize(found.classes) > 300
