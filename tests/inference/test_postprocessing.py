"""Mending maps: by strips as in one piece, in the order that is promised, never on the input."""

import geopandas as gpd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from darts_train.base.errors import UserError
from darts_train.inference.map_files import find_maps
from darts_train.inference.postprocess import postprocess
from darts_train.inference.postprocessing.local_steps import LocalSteps
from darts_train.inference.postprocessing.objects import drop_objects, fill_holes
from darts_train.inference.postprocessing.one_map import Recipe, mend_map
from darts_train.inference.postprocessing.quality import Quality
from darts_train.options.postprocessing import MapFiles, Mending, Trusted
from darts_train.raster.grid import Grid
from darts_train.raster.masks import erode_valid
from darts_train.raster.strips import strips

from .maps import read, write_map, write_raster

EIGHT = np.ones((3, 3), bool)


def speckled(seed, height, width, classes=2, gaps=0.02):
    """Classes uint8 with patches of several pixels, and some no data."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.uniform_filter(rng.random((height, width)), 3)
    edges = np.quantile(smooth, np.linspace(0, 1, classes + 1)[1:-1])
    found = np.digitize(smooth, edges).astype(np.uint8)
    found[rng.random(found.shape) < gaps] = 255
    return found


def run(tmp_path, maps, *, merge=False, overwrite=False, threshold=None, out="out", **options):
    trusted = {key: options.pop(key) for key in list(options) if key in Trusted.__dataclass_fields__}
    trusted = {"quality_level": "none"} | trusted
    files = MapFiles(maps=tuple(maps), out_dir=tmp_path / out, merge=merge, overwrite=overwrite, threshold=threshold)
    return postprocess(files, Trusted(**trusted), Mending(**{"min_object_size": 1} | options))


sides = st.sampled_from([0, 3, 5])
shapes = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 25), st.integers(2, 4))


@settings(max_examples=15, deadline=None)
@given(of=shapes, median=sides, opening=sides, closing=sides, edges=st.tuples(*[st.integers(0, 4)] * 2), data=st.data())
def test_strips_give_what_the_whole_map_gives(of, median, opening, closing, edges, data):
    found = speckled(*of)
    height, width = found.shape
    grid, steps = Grid(width, height), LocalSteps(*edges, median, opening, closing, of[3])
    smallest, largest = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))

    def mended(rows):
        parts, changed = [], {}
        for strip in strips(width, height, rows, steps.halo):
            here = found[strip.outer.y : strip.outer.bottom]
            part, counts = steps.apply(here, np.ones(here.shape, bool), strip, grid)
            parts.append(part)
            changed = {name: changed.get(name, 0) + n for name, n in counts.items()}
        filled = list(fill_holes(lambda: iter(parts), largest, of[3]))
        dropped = list(drop_objects(lambda: iter(filled), smallest, data_flag))
        return np.concatenate(dropped), changed

    data_flag = data.draw(st.booleans())
    whole, strip_by_strip = mended(height), mended(data.draw(st.integers(1, max(1, height - 1))))
    assert np.array_equal(whole[0], strip_by_strip[0])
    assert whole[1] == strip_by_strip[1]


@settings(max_examples=12, deadline=None)
@given(of=shapes, smallest=st.integers(2, 15), rows=st.integers(1, 40))
def test_objects_that_stay_are_those_that_are_large_enough(of, smallest, rows):
    found = speckled(*of)
    parts = np.array_split(found, range(rows, len(found), rows))
    kept = np.concatenate(list(drop_objects(lambda: iter(parts), smallest, touching=False)))
    expected = found.copy()
    for index in range(1, of[3]):
        labels, _ = ndimage.label(found == index, EIGHT)
        expected[(np.bincount(labels.ravel()) < smallest)[labels] & (found == index)] = 0
    assert np.array_equal(kept, expected)


def test_objects_beside_no_data_are_dropped_and_those_at_the_edge_stay():
    found = np.zeros((8, 8), np.uint8)
    found[0, :3], found[4:6, 4:6], found[3, 3] = 1, 1, 255  # at the edge; beside no data by a corner
    found[7, 7] = 1
    kept = np.concatenate(list(drop_objects(lambda: iter([found[:4], found[4:]]), 1, touching=True)))
    assert kept[0, :3].tolist() == [1, 1, 1]
    assert kept[7, 7] == 1
    assert not kept[4:6, 4:6].any()


def test_holes():
    found = np.ones((9, 9), np.uint8)
    found[1, 1] = found[4, 4:6] = 0
    found[7, 0] = 0  # open at the edge
    found[2, 7] = 0
    found[2, 8] = 255  # open to no data
    found[6:8, 5:9] = 2
    found[6, 6] = 0
    result = np.concatenate(list(fill_holes(lambda: iter([found[:2], found[2:5], found[5:]]), 1, 3)))
    assert result[1, 1] == 1
    assert (result[4, 4:6] == 0).all()  # two pixels
    assert result[7, 0] == result[2, 7] == 0
    assert result[6, 6] == 2  # three of its four sides
    assert np.array_equal(next(fill_holes(lambda: iter([found]), 2, 3))[4, 4:6], [1, 1])


def test_a_map_by_strips_of_rows_is_the_map_in_one_piece(tmp_path):
    rng = np.random.default_rng(0)
    percent = np.rint(ndimage.uniform_filter(rng.random((50, 40)), 3) * 100).astype(np.uint8)
    percent[10:14, 5:9] = 255
    write_map(tmp_path / "scene", percent)
    (one,) = find_maps([tmp_path / "scene"], "--maps")
    mending = Mending(median=3, opening=3, closing=5, fill_holes=9, min_object_size=6, remove_touching_mask=True)
    recipe = Recipe(Trusted(mask_erosion_size=2, edge_erosion_size=1), mending, 0.45)
    made = [mend_map(one, Quality(None, 1), recipe, tmp_path / name, rows) for name, rows in (("a", 7), ("b", 100))]
    for name in ("classes.tif", "probabilities.tif"):
        assert np.array_equal(read(made[0].directory / name), read(made[1].directory / name))
    assert made[0].changed == made[1].changed
    assert {path.name for path in made[0].directory.iterdir()} == {
        "classes.tif", "probabilities.tif", "segments.gpkg", "postprocess.json"
    }  # fmt: skip
    kept = read(made[0].directory / "classes.tif") != 255
    expected = erode_valid(percent != 255, 2, 1)
    assert np.array_equal(kept, expected)
    chances = read(made[0].directory / "probabilities.tif")
    assert np.array_equal(chances, np.where(expected, percent, 255))


def test_quality_decides_what_is_trusted(tmp_path):
    scene = write_map(tmp_path / "maps" / "scene", np.full((40, 40), 80, np.uint8))
    grades = np.full((40, 40), 2, np.uint8)
    grades[:, 10:] = 1
    grades[:, 30:] = 0
    quality = write_raster(tmp_path / "scene_quality.tif", grades, nodata=None)

    def kept(**options):
        done = run(tmp_path, [scene], out="out", overwrite=True, quality=(quality,), **options)
        return read(done.maps[0].directory / "classes.tif") != 255

    expected = np.zeros((40, 40), bool)
    expected[:, :10] = True
    assert np.array_equal(kept(quality_level="high", mask_erosion_size=0), expected)
    expected[:, :30] = True
    assert np.array_equal(kept(quality_level="low", mask_erosion_size=0), expected)
    expected[:] = False
    expected[10:30, 10:20] = True  # 10 pixels from column 30, and from the edge
    assert np.array_equal(kept(quality_level="low"), expected)


def test_quality_on_other_pixels_is_brought_there(tmp_path):
    scene = write_map(tmp_path / "scene", np.full((20, 20), 80, np.uint8))
    grades = np.full((40, 40), 2, np.uint8)
    grades[:, 15:] = 0
    quality = write_raster(tmp_path / "q.tif", grades, x=500000.0 - 100, nodata=None)  # ten columns to the left
    run(tmp_path, [scene], quality=(quality,), quality_level="low", mask_erosion_size=0)
    kept = read(tmp_path / "out" / "scene" / "classes.tif") != 255
    assert kept[:, :5].all()
    assert not kept[:, 5:].any()


def test_objects_across_scenes_become_one(tmp_path):
    left, right = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    left[5:8, 15:], right[5:8, :4] = 90, 70  # abut
    left[15:18, 18:] = 60  # alone
    right[12:14, 10:12] = 99
    first, second = write_map(tmp_path / "maps" / "a", left), write_map(tmp_path / "maps" / "b", right, x=500200.0)
    done = run(tmp_path, [tmp_path / "maps"], merge=True)
    assert (done.merged.objects, done.merged.pieces, done.merged.across) == (3, 4, 1)
    frame = gpd.read_file(done.merged.path)
    one = frame[frame["scenes"] == 2].iloc[0]
    assert one["pixels"] == 15 + 12
    assert one["mean_probability"] == pytest.approx((15 * 0.9 + 12 * 0.7) / 27)
    assert one["max_probability"] == pytest.approx(0.9)
    assert one["area_m2"] == pytest.approx(27 * 100, rel=2e-3)
    assert one["scene_names"] == "a,b"
    assert one.geometry.area == pytest.approx(2700)
    assert first.is_dir()
    assert second.is_dir()


def test_a_map_in_a_system_of_its_own_has_no_neighbours(tmp_path):
    percent = np.full((30, 30), 80, np.uint8)
    site = 'LOCAL_CS["site",UNIT["metre",1]]'
    for name in ("a", "b"):
        write_map(tmp_path / "maps" / name, percent, crs=site)
    write_map(tmp_path / "maps" / "c", percent)
    with pytest.raises(UserError, match=r"--merge: no way leads from the coordinate system of .*/c to that of .*/a"):
        run(tmp_path, [tmp_path / "maps"], merge=True)
    assert not (tmp_path / "out").exists()
    assert run(tmp_path, [tmp_path / "maps" / "a", tmp_path / "maps" / "b"], merge=True).merged.pieces == 2


def test_scenes_of_two_systems_are_merged(tmp_path):
    """The same ground in zone 8 and in zone 9: overlapping objects are one, with the area of the union."""
    percent = np.zeros((30, 30), np.uint8)
    percent[10:20, 10:20] = 80
    here = gpd.GeoSeries(gpd.points_from_xy([500150], [7599850]), crs="EPSG:32608").to_crs("EPSG:32609").iloc[0]
    write_map(tmp_path / "maps" / "a", percent)
    write_map(tmp_path / "maps" / "b", percent, x=here.x - 150, y=here.y + 150, crs="EPSG:32609")
    frame = gpd.read_file(run(tmp_path, [tmp_path / "maps"], merge=True).merged.path)
    assert len(frame) == 1
    assert frame["pixels"].tolist() == [200]
    assert 10_000 < frame["area_m2"].iloc[0] < 13_500
    assert frame.crs.to_epsg() == 32608


def test_a_map_of_which_nothing_is_left_is_said(tmp_path, caplog):
    scene = write_map(tmp_path / "scene", np.full((12, 12), 80, np.uint8))
    run(tmp_path, [scene], mask_erosion_size=6)
    assert "nothing of the map scene is left" in caplog.text
    assert (read(tmp_path / "out" / "scene" / "classes.tif") == 255).all()


def test_the_input_stays_and_so_does_a_result_that_is_there(tmp_path):
    scene = write_map(tmp_path / "scene", np.full((12, 12), 80, np.uint8))
    before = {path.name: path.read_bytes() for path in scene.iterdir()}
    run(tmp_path, [scene])
    with pytest.raises(UserError, match="is there already"):
        run(tmp_path, [scene])
    run(tmp_path, [scene], overwrite=True)
    with pytest.raises(UserError, match="never changed"):
        run(tmp_path, [scene], out=".")
    assert {path.name: path.read_bytes() for path in scene.iterdir()} == before


def test_any_raster_of_classes_or_probabilities(tmp_path):
    classes = speckled(3, 20, 20, 3, 0)
    write_raster(tmp_path / "in" / "three.tif", classes)
    write_raster(tmp_path / "in" / "float.tif", np.linspace(0, 1, 400, dtype=np.float32).reshape(20, 20), nodata=None)
    done = run(tmp_path, [tmp_path / "in" / "float.tif"], threshold=0.75)
    assert (read(done.maps[0].directory / "classes.tif") == 1).sum() == 100
    segments = gpd.read_file(done.maps[0].directory / "segments.gpkg")
    assert segments["mean_probability"].iloc[0] == pytest.approx(0.875, abs=0.005)
    with pytest.raises(UserError, match=r"2 \(\d+ pixels\) beyond the classes background, positive"):
        run(tmp_path, [tmp_path / "in" / "three.tif"], out="other")
    assert not (tmp_path / "other" / "three").exists()


def test_pictures_and_logits_are_no_probabilities(tmp_path):
    picture = np.full((3, 12, 12), 200, np.uint8)
    write_raster(tmp_path / "picture.tif", picture, nodata=None)
    write_raster(tmp_path / "logits.tif", np.full((12, 12), -3, np.float32), nodata=None)
    for name in ("picture", "logits"):
        with pytest.raises(UserError, match="no probabilities of 0 to"):
            run(tmp_path, [tmp_path / f"{name}.tif"])
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality_level": "high"}, "wants --quality"),
        ({"median": 4}, "even"),
        ({"quality": ("nowhere.tif",)}, "nowhere.tif does not exist"),
        ({"merge": True}, "no coordinate reference system"),
    ],
)
def test_what_is_refused(tmp_path, options, message):
    from pathlib import Path

    scene = write_map(tmp_path / "scene", np.full((12, 12), 80, np.uint8), crs=None)
    if "quality" in options:
        options = {"quality": tuple(map(Path, options["quality"]))}
    with pytest.raises(UserError, match=message):
        run(tmp_path, [scene], **options)
    assert not (tmp_path / "out").exists()
