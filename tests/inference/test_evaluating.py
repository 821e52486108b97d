"""Maps beside labels: by name, by strips as in one piece, and told where it goes wrong."""

import json

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from darts_train.base.errors import UserError
from darts_train.inference.evaluate import evaluate
from darts_train.inference.evaluating import counting
from darts_train.inference.evaluating.counting import Scene, count_pixels, places
from darts_train.inference.evaluating.objects import ObjectComparison, compare_outlines
from darts_train.inference.map_files import find_maps
from darts_train.metrics.boundary import BoundaryIoU
from darts_train.metrics.instance import match_objects
from darts_train.options.evaluating import Atlas, Evaluate, LabelValues, Matching
from darts_train.scenes.labels import RasterLabels
from darts_train.scenes.raster_file import RasterFile

from .maps import write_map, write_raster

GROUPS = {"evaluate": Evaluate, "matching": Matching, "values": LabelValues, "atlas": Atlas}


def run(tmp_path, maps, labels, **options):
    options = {"predictions": tuple(maps), "labels": tuple(labels), "out_dir": tmp_path / "out"} | options
    options.setdefault("atlas_tiles", 0)
    fields = {name: group.__dataclass_fields__ for name, group in GROUPS.items()}
    assert all(any(key in known for known in fields.values()) for key in options), options
    return evaluate(**{n: g(**{k: v for k, v in options.items() if k in fields[n]}) for n, g in GROUPS.items()})


def patches(seed, height, width, share=0.45):
    rng = np.random.default_rng(seed)
    smooth = ndimage.uniform_filter(rng.random((height, width)), 3)
    return smooth > np.quantile(smooth, 1 - share)


def shifted(mask, percent=80):
    return np.where(np.roll(mask, 1, 1), percent, 20).astype(np.uint8)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(2, 30), width=st.integers(1, 25), data=st.data())
def test_objects_by_strips_are_matched_as_those_of_the_whole(seed, height, width, data):
    rng = np.random.default_rng(seed)
    truth, found = (rng.integers(0, 3, (height, width)).astype(np.uint8) for _ in range(2))
    found[rng.random(found.shape) < 0.7] = 0
    same = patches(seed, height, width)
    found[same] = truth[same]
    truth[patches(seed + 1, height, width, 0.2)] = 255
    chances = np.round(rng.random(found.shape), 2)
    comparison = ObjectComparison(0.5)
    rows = data.draw(st.integers(1, height))
    for y in range(0, height, rows):
        comparison.add(truth[y : y + rows], found[y : y + rows], chances[y : y + rows])
    for index, ours in enumerate(comparison.matched(3), start=1):
        whole = match_objects(truth == index, found == index, truth == 255, chances, 0.5)
        assert ours.counts == whole.counts
        order, expected = np.lexsort((ours.scores, ours.hits)), np.lexsort((whole.scores, whole.hits))
        assert np.array_equal(ours.hits[order], whole.hits[expected])
        assert ours.scores[order] == pytest.approx(whole.scores[expected], abs=1e-6)


@pytest.fixture
def scene(tmp_path):
    truth, found = patches(1, 90, 70), patches(2, 90, 70)
    labels = truth.astype(np.uint8)
    labels[:9, :9] = 255
    percent = np.where(found, 70, 30).astype(np.uint8)
    percent[40:45] = 255
    write_map(tmp_path / "maps" / "one", percent)
    write_raster(tmp_path / "labels" / "one.tif", labels, nodata=None)
    (one,) = find_maps([tmp_path / "maps"], "--predictions")
    mapping = RasterLabels(RasterFile.open(tmp_path / "labels" / "one.tif"), {0: 0, 1: 1})
    return Scene("one", "north", one, mapping, None, False), labels, np.where(percent == 255, 255, found), percent


def test_strips_count_what_the_whole_scene_has(scene, monkeypatch):
    compared, labels, found, percent = scene
    valid = (labels != 255) & (found != 255)
    monkeypatch.setattr(counting, "STRIP_PIXELS", 70 * 20)
    pixels, tiles = count_pixels(compared, 100, 16)
    expected = np.array([[(valid & (labels == i) & (found == j)).sum() for j in (0, 1)] for i in (0, 1)])
    assert np.array_equal(pixels.confusion, expected)
    assert pixels.unpredicted == ((labels != 255) & (found == 255)).sum()
    assert pixels.histogram.sum() == pixels.labelled == valid.sum()
    assert pixels.histogram[0, :, 69].tolist() == [(valid & (labels == i) & (percent == 70)).sum() for i in (0, 1)]
    wrong = valid & (labels != found)
    assert sum(tile.counts["wrong"] for tile in tiles) == wrong.sum()
    for tile in tiles:
        here = slice(tile.window.y, tile.window.y + 16), slice(tile.window.x, tile.window.x + 16)
        assert tile.counts["wrong"] == wrong[here].sum() > 0
    assert min(tiles).counts["wrong"] == max(tile.counts["wrong"] for tile in tiles)


def test_outlines_by_blocks_are_those_of_the_whole_scene(scene, monkeypatch):
    compared, labels, found, _ = scene
    monkeypatch.setattr("darts_train.inference.evaluating.objects._BLOCK", 40)
    whole = BoundaryIoU()
    ignored = (labels == 255) | (found == 255)
    whole.update(labels == 1, found == 1, ignored)
    assert compare_outlines(compared).tolist() == [[whole.intersection, whole.union]]


@given(chance=st.integers(0, 100), threshold=st.integers(0, 100))
@settings(max_examples=25)
def test_a_percent_is_above_a_threshold_as_whole_numbers_are(chance, threshold):
    place = places(np.array([chance / 100], np.float32), 100)[0]
    assert (place >= threshold) == (chance > threshold) or (threshold == 0 and chance == 0)


def test_an_evaluation(tmp_path):
    truths = {name: patches(i, 64, 48) for i, name in enumerate(("a", "b", "c"))}
    for number, (name, truth) in enumerate(truths.items()):
        place = {"x": 500000.0 + 1000 * number}
        write_map(
            tmp_path / "maps" / name,
            shifted(truth) if name != "c" else np.where(truth, 60, 10).astype(np.uint8),
            **place,
        )
        write_raster(tmp_path / "labels" / f"{name}.tif", truth.astype(np.uint8), nodata=None, **place)
    regions = gpd.GeoDataFrame(
        {"name": ["west", "east"]},
        geometry=[shapely.box(499000, 7500000, 501500, 7700000), shapely.box(501900, 7500000, 510000, 7700000)],
        crs="EPSG:32608",
    )
    regions.to_file(tmp_path / "regions.gpkg")
    done = run(
        tmp_path, [tmp_path / "maps"], [tmp_path / "labels"], admin_dir=tmp_path / "regions.gpkg", atlas_tiles=5,
        atlas_tile_size=16, images=(tmp_path / "labels",),
    )  # fmt: skip
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "evaluation.json", "scores.parquet", "thresholds.parquet", "atlas.png", "atlas.parquet", "atlas.geojson"
    }  # fmt: skip
    facts = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    found = {name: np.roll(truth, 1, 1) if name != "c" else truth for name, truth in truths.items()}
    tp = sum((truths[n] & found[n]).sum() for n in truths)
    union = sum((truths[n] | found[n]).sum() for n in truths)
    assert facts["metrics"]["JaccardIndex"] == pytest.approx(tp / union)
    low, high = facts["intervals"]["JaccardIndex"]
    assert low < tp / union < high
    assert facts["by_scene"]["c"]["JaccardIndex"] == facts["by_scene"]["c"]["InstanceBoundaryIoU"] == 1
    assert facts["by_region"]["east"]["JaccardIndex"] == 1
    assert set(facts["by_region"]) == {"west", "east"}
    assert facts["curves_on_these_labels"]["slump"]["thresholds"]["best_iou"]["JaccardIndex"] >= tp / union
    table = pq.read_table(tmp_path / "out" / "scores.parquet").to_pandas()
    assert table["part"].tolist() == ["all", "region", "region", "scene", "scene", "scene"]
    atlas = gpd.read_parquet(tmp_path / "out" / "atlas.parquet")
    assert atlas["rank"].tolist() == [1, 2, 3, 4, 5]
    assert (atlas["wrong"].diff().dropna() <= 0).all()
    assert "c" not in set(atlas["scene"])
    first = atlas.iloc[0]
    here = slice(first["y"], first["y"] + 16), slice(first["x"], first["x"] + 16)
    assert (truths[first["scene"]] != found[first["scene"]])[here].sum() == first["wrong"]
    assert atlas.to_crs("EPSG:32608").geometry.iloc[0].area == pytest.approx(160 * first["width"] * 10, rel=1e-3)
    assert "IoU" in done.summary()
    assert done.to_dict()["metrics"]["JaccardIndex"] == facts["metrics"]["JaccardIndex"]


def test_polygons_of_one_file_are_the_labels_of_all_maps(tmp_path):
    for number in range(2):
        percent = np.full((20, 20), 10, np.uint8)
        percent[5:10, 5:10] = 90
        write_map(tmp_path / "maps" / f"m{number}", percent, x=500000.0 + 200 * number)
    squares = [shapely.box(500050 + dx, 7599900, 500100 + dx, 7599950) for dx in (0, 200)]
    gpd.GeoDataFrame(geometry=squares, crs="EPSG:32608").to_crs(4326).to_file(tmp_path / "slumps.geojson")
    done = run(tmp_path, [tmp_path / "maps"], [tmp_path / "slumps.geojson"])
    assert done.record["metrics"]["JaccardIndex"] == 1
    assert done.record["metrics"]["InstanceF1Score"] == 1
    assert done.record["scenes"] == 2


def test_several_classes_and_no_probabilities(tmp_path):
    classes = np.random.default_rng(0).integers(0, 3, (16, 16)).astype(np.uint8)
    write_raster(tmp_path / "maps" / "one.tif", classes)
    labels = np.where(classes == 2, 0, classes)
    labels[0, 0] = 2
    write_raster(tmp_path / "labels" / "one.tif", labels, nodata=None)
    done = run(
        tmp_path, [tmp_path / "maps"], [tmp_path / "labels" / "one.tif"], classes=("land", "water", "snow"),
    )  # fmt: skip
    metrics = done.record["metrics"]
    assert metrics["JaccardIndex_water"] == pytest.approx(
        (classes == 1).sum() / ((classes == 1) | (labels == 1)).sum(), abs=0.02
    )
    assert metrics["JaccardIndex"] == pytest.approx((metrics["JaccardIndex_water"] + metrics["JaccardIndex_snow"]) / 2)
    assert done.record["curves_on_these_labels"] is None
    assert not (tmp_path / "out" / "thresholds.parquet").exists()
    assert done.record["intervals"]["JaccardIndex"] is None  # one scene


def test_unpredicted_pixels_are_left_out_or_background(tmp_path, scene):
    _, labels, found, _ = scene
    paths = [tmp_path / "maps"], [tmp_path / "labels"]
    left = run(tmp_path, *paths)
    counted = run(tmp_path, *paths, unpredicted="background", overwrite=True)
    rows = (found == 255) & (labels != 255)
    assert left.record["unpredicted_pixels"] == rows.sum()
    assert counted.record["pixels"] - left.record["pixels"] == rows.sum()
    assert counted.record["metrics"]["Recall"] < left.record["metrics"]["Recall"]


@pytest.fixture
def pair(tmp_path):
    mask = patches(5, 20, 20)
    write_map(tmp_path / "maps" / "one", shifted(mask))
    write_raster(tmp_path / "labels" / "one.tif", mask.astype(np.uint8), nodata=None)
    return tmp_path


def refused(pair, message, **options):
    with pytest.raises(UserError, match=message) as caught:
        run(pair, [pair / "maps"], [pair / "labels"], **options)
    assert str(caught.value).count("\n") <= 1
    assert not (pair / "out").exists()


def test_names_that_do_not_pair(pair):
    (pair / "labels" / "one.tif").rename(pair / "labels" / "one_mask.tif")
    write_raster(pair / "labels" / "two_mask.tif", np.zeros((20, 20), np.uint8), nodata=None)
    refused(pair, r"no label is named like a map(.|\n)*--label-pattern '\{id\}_mask.tif'")
    refused(pair, "1 labels without a map", label_pattern="{id}_mask.tif")
    done = run(pair, [pair / "maps"], [pair / "labels"], label_pattern="{id}_mask.tif", only_pairs=True)
    assert done.record["left_out"]["labels_without_maps"] == ["two"]


def test_labels_of_another_size_or_place(pair):
    write_raster(pair / "labels" / "one.tif", np.zeros((20, 25), np.uint8), nodata=None)
    refused(pair, "25 x 20 pixels against 20 x 20.*--align")
    mask = np.pad(patches(5, 20, 20).astype(np.uint8), ((0, 0), (3, 0)))
    write_raster(pair / "labels" / "one.tif", mask, x=500000.0 - 30, nodata=None)
    brought = run(pair, [pair / "maps"], [pair / "labels"], align=True)
    truth, found = patches(5, 20, 20), np.roll(patches(5, 20, 20), 1, 1)
    assert brought.record["metrics"]["JaccardIndex"] == pytest.approx((truth & found).sum() / (truth | found).sum())


def test_values_that_are_no_class(pair):
    write_raster(pair / "labels" / "one.tif", np.full((20, 20), 7, np.uint8), nodata=None)
    refused(pair, r"7 \(400 pixels\)(.|\n)*--remap")
    refused(pair, "No labelled pixel", remap="7:-100")
    refused(pair, "--threshold: .* no probabilities", remap="7:1", threshold=0.4, predictions=(pair / "labels",))
    refused(pair, "7 .400 pixels. beyond the classes", remap="7:1", predictions=(pair / "labels",))
    done = run(pair, [pair / "labels"], [pair / "labels"], remap="7:1", prediction_remap="7:1")
    assert done.record["metrics"]["JaccardIndex"] == 1


def test_a_plain_mask_whose_positive_is_declared_no_data(pair):
    mask = patches(5, 20, 20).astype(np.uint8)
    write_raster(pair / "masks" / "one.tif", 255 * mask, nodata=255)
    done = run(pair, [pair / "masks"], [pair / "labels"], prediction_remap="0:0,255:1")
    assert done.record["metrics"]["JaccardIndex"] == 1


def test_nothing_but_an_evaluation_is_replaced(pair):
    (pair / "out").mkdir()
    (pair / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        run(pair, [pair / "maps"], [pair / "labels"], overwrite=True)
    (pair / "out" / "mine.txt").unlink()
    run(pair, [pair / "maps"], [pair / "labels"])
    with pytest.raises(UserError, match="is there already"):
        run(pair, [pair / "maps"], [pair / "labels"])
    run(pair, [pair / "maps"], [pair / "labels"], overwrite=True)
