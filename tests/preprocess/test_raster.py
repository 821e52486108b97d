"""preprocess-raster-train-data on the bundled scenes, and on what users give it by mistake."""

import json
import signal
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import zarr

from darts_train.base.errors import UserError
from darts_train.dataset.checks import validate_train_data
from darts_train.dataset.reader import TrainData
from darts_train.dataset.set_config import SetConfig
from darts_train.options.preprocessing import Inspect, Output, Patches, Raster
from darts_train.preprocess import work
from darts_train.preprocess.interrupt import deferred_interrupt
from darts_train.preprocess.raster import preprocess_raster_train_data
from tests.support.geo import ORIGIN, SAMPLE, box, sample_pixels, write_polygons, write_raster

TABLE = Path(__file__).with_name("table.csv")
SAMPLE_OPTIONS = {
    "table": TABLE, "scale": 1e-4, "remap": "0:0,1:0,2:0,3:0,4:1", "classes": ("background", "cloud"),
}  # fmt: skip
CUT = {"patch_size": 128, "overlap": 0, "exclude_nan": False}


def preprocess(root, cut=None, out=None, **raster):
    options = raster or SAMPLE_OPTIONS
    return preprocess_raster_train_data(
        Raster(**options), Output(train_data_dir=root, **(out or {})), Patches(**{**CUT, **(cut or {})})
    )


@pytest.fixture(scope="module")
def sample_set(tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    return root, preprocess(root)


def test_the_bundled_scenes(sample_set):
    root, summary = sample_set
    metadata = pd.read_parquet(root / "metadata.parquet")
    group = zarr.open_group(root / "data.zarr", mode="r")
    x, y = group["x"], group["y"]
    assert (summary.scenes, summary.patches) == (2, 32)
    assert x.shape == (32, 6, 128, 128)
    assert metadata["sample_id"].tolist() == ["landsat7_toa6"] * 16 + ["sentinel2_toa6"] * 16
    assert metadata["patch_id"].tolist() == list(range(16)) * 2
    assert set(metadata["region"]) == {"landsat7", "sentinel2"}
    counts, row = sample_pixels(bands=6), metadata.iloc[6]
    window = np.s_[row.y : row.y + 128, row.x : row.x + 128]
    expected = counts[(slice(None), *window)]
    assert np.array_equal(x[6], np.where(expected == 0, 65535, expected))
    with rasterio.open(SAMPLE / "landsat7_mask.tif") as file:
        mask = file.read(1)[window]
    labelled = (expected != 0).all(axis=0)
    assert np.array_equal(y[6], np.where(labelled, mask == 4, 255))
    assert row.positive_fraction == ((mask == 4) & labelled).mean()
    assert row["empty"] == (row.positive_fraction == 0)


def test_the_config_makes_it_again(sample_set):
    root, _ = sample_set
    config = SetConfig.read(root / "config.toml")
    assert config.band_names == ("blue", "green", "red", "nir", "swir16", "swir22")
    assert {(band.scale, band.offset, band.low, band.high) for band in config.bands} == {(1e-4, 0.0, -0.1, 0.5)}
    assert config.settings["table"] == str(TABLE)
    assert config.settings["remap"] == SAMPLE_OPTIONS["remap"]
    assert not {"overwrite", "dry_run", "preprocess_cache", "train_data_dir"} & set(config.settings)


def test_called_again_nothing_is_done(sample_set, monkeypatch):
    root, summary = sample_set

    def refuse(*args):
        raise AssertionError("a finished scene was cut again")

    monkeypatch.setattr(work, "cut_tile", refuse)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    again = preprocess(root)
    assert again.data_hash == summary.data_hash
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_other_settings_are_refused_with_the_difference(sample_set):
    with pytest.raises(UserError, match="overlap: 0 there, 8 now"):
        preprocess(sample_set[0], cut={"overlap": 8})


def test_a_dry_run_writes_nothing(tmp_path):
    summary = preprocess(tmp_path / "set", out={"dry_run": True, "preprocess_cache": tmp_path / "cache"})
    assert (summary.scenes, summary.patches, summary.bytes) == (2, 32, 32 * 128 * 128 * 13)
    assert "would hold at most 32 patches of 2 scenes" in summary.summary()
    assert list(tmp_path.iterdir()) == []


def test_a_new_row_of_the_table_is_added(tmp_path):
    table = tmp_path / "table.csv"
    rows = [f"{SAMPLE}/{name}_toa6.tif,{SAMPLE}/{name}_mask.tif\n" for name in ("landsat7", "landsat5")]
    table.write_text("image,label\n" + rows[0])
    options = {**SAMPLE_OPTIONS, "table": table}
    assert preprocess(tmp_path / "set", **options).scenes == 1
    table.write_text("image,label\n" + "".join(rows))
    summary = preprocess(tmp_path / "set", **options)
    assert (summary.scenes, summary.patches) == (2, 32)


def small(tmp_path, name="a", values=None, labels=None, **options):
    """A pair in images/ and labels/, 64 pixels."""
    values = sample_pixels(size=64) if values is None else values
    labels = (
        np.tile(np.array([0, 1], np.uint8), (*values.shape[1:2], values.shape[2] // 2)) if labels is None else labels
    )
    image = write_raster(tmp_path / "images" / f"{name}.tif", values, **options)
    label = write_raster(tmp_path / "labels" / f"{name}.tif", labels)
    return image, label


def directories(tmp_path, **options):
    return {"image_dir": tmp_path / "images", "label_dir": tmp_path / "labels", **options}


SMALL_CUT = {"patch_size": 32}


def test_pairs_by_stem_and_what_has_no_partner(tmp_path, caplog):
    small(tmp_path, "b")
    small(tmp_path, "a")
    small(tmp_path, "c")[1].unlink()
    write_raster(tmp_path / "labels" / "d.tif", np.zeros((4, 4), np.uint8))
    with caplog.at_level("WARNING", "darts"):
        summary = preprocess(tmp_path / "set", SMALL_CUT, **directories(tmp_path))
    assert (summary.scenes, summary.patches, summary.left_out) == (2, 8, (("c", "no labels"),))
    scenes = pd.read_parquet(tmp_path / "set" / "scenes.parquet").set_index("scene_id")
    assert scenes.loc["c", "reason"] == "no labels"
    assert scenes.loc["a", "patches"] == 4
    assert "1 labels have no image (d)" in caplog.text


def test_a_small_picture_is_padded(tmp_path):
    values = np.random.default_rng(0).integers(1, 255, (3, 20, 24)).astype(np.uint8)
    small(tmp_path, values=values, origin=None)
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        write_raster(tmp_path / "labels" / "a.tif", np.ones((20, 24), np.uint8), origin=None)
    summary = preprocess(tmp_path / "set", {"patch_size": 32, "exclude_nan": True}, **directories(tmp_path))
    assert (summary.patches, summary.empty) == (1, 0)
    group = zarr.open_group(tmp_path / "set" / "data.zarr", mode="r")
    assert np.array_equal(group["x"][0, :, :20, :24], values)
    assert group["x"].dtype == np.uint8
    assert np.array_equal(group["valid"][0], np.pad(np.ones((20, 24)), ((0, 12), (0, 8))))
    assert (TrainData.open(tmp_path / "set").read(0)[0][:, 20:] == 65535).all()
    assert (group["y"][0, :, 24:] == 255).all()
    metadata = pd.read_parquet(tmp_path / "set" / "metadata.parquet")
    assert metadata["geometry"].tolist() == [None]
    assert metadata["valid_fraction"].tolist() == [20 * 24 / 32**2]


def test_polygons_as_labels(tmp_path):
    write_raster(tmp_path / "images" / "a.tif", sample_pixels(size=64))
    write_polygons(tmp_path / "labels" / "a.geojson", [box(4, 8, 16, 10), box(40, 40, 8, 8)], kind=["lake", "road"])
    options = directories(tmp_path, class_column="kind", classes=("background", "lake", "road"))
    summary = preprocess(tmp_path / "set", SMALL_CUT, **options)
    assert summary.patches == 4
    y = zarr.open_group(tmp_path / "set" / "data.zarr", mode="r")["y"][:]
    assert [(y == i).sum() for i in (1, 2)] == [160, 64]
    features = json.loads((tmp_path / "set" / "labels.geojson").read_text())["features"]
    assert [feature["properties"]["class"] for feature in features] == [1, 2]
    assert features[0]["properties"]["sample_id"] == "a"
    metadata = pd.read_parquet(tmp_path / "set" / "metadata.parquet")
    assert metadata["empty"].tolist() == [False, True, True, False]
    assert metadata["class_fractions"].iloc[3].tolist() == [960 / 1024, 0.0, 64 / 1024]


def test_the_table_says_more(tmp_path):
    small(tmp_path, "a")
    pd.DataFrame(
        {"image": ["images/a.tif"], "label": ["labels/a.tif"], "region": ["Yukon, north"], "group": ["g"],
         "date": [pd.Timestamp("2021-07-14")], "sample_id": ["one"], "note": ["x"]}
    ).to_parquet(tmp_path / "t.parquet")  # fmt: skip
    preprocess(tmp_path / "set", SMALL_CUT, table=tmp_path / "t.parquet")
    row = pd.read_parquet(tmp_path / "set" / "metadata.parquet").iloc[0]
    assert (row.region, row.group, row.date, row.sample_id) == ("Yukon, north", "g", "2021-07-14", "one")
    assert row.source == "images/a.tif"


def test_bands_are_chosen_computed_and_measured(tmp_path):
    values = np.concatenate([sample_pixels(size=64), np.full((1, 64, 64), 500, np.uint16)])
    small(tmp_path, values=values)
    names = ("blue", "green", "red", "nir", "odd")
    options = directories(tmp_path, band_names=names, bands=("nir", "ndvi", "odd"), scale=1e-4)
    preprocess(tmp_path / "set", SMALL_CUT, **options)
    bands = {band.name: band for band in SetConfig.read(tmp_path / "set" / "config.toml").bands}
    assert (bands["ndvi"].scale, bands["ndvi"].offset) == (1e-4, -1.0)
    assert (bands["odd"].scale, bands["odd"].low, bands["odd"].optical) == (1e-4, 0.05, False)
    x = zarr.open_group(tmp_path / "set" / "data.zarr", mode="r")["x"][0].astype(float)
    red, nir = values[2, :32, :32] * 1e-4, values[3, :32, :32] * 1e-4
    found = x[1] * 1e-4 - 1
    valid = x[1] != 65535
    assert np.allclose(found[valid], ((nir - red) / (nir + red))[valid], atol=6e-5)


def test_measured_ranges_stay_when_scenes_are_added(tmp_path):
    small(tmp_path, "a", values=np.full((1, 64, 64), 500, np.uint16))
    first = preprocess(tmp_path / "set", SMALL_CUT, **directories(tmp_path))
    small(tmp_path, "b", values=np.full((1, 64, 64), 9000, np.uint16))
    second = preprocess(tmp_path / "set", SMALL_CUT, **directories(tmp_path))
    assert (first.scenes, second.scenes) == (1, 2)


@pytest.mark.parametrize(("text", "expected"), [("v1", (0.0, 0.3)), ("0,0.4", (0.0, 0.4))])
def test_optical_range(tmp_path, text, expected):
    preprocess(tmp_path / "set", **SAMPLE_OPTIONS, optical_range=text)
    band = SetConfig.read(tmp_path / "set" / "config.toml").bands[0]
    assert (band.low, band.high) == expected


class TestMistakes:
    """Each is one line, before anything is written."""

    def refused(self, tmp_path, match, cut=None, **options):
        with pytest.raises(UserError, match=match) as caught:
            preprocess(tmp_path / "set", {**SMALL_CUT, **(cut or {})}, **(options or directories(tmp_path)))
        assert len(str(caught.value).splitlines()) <= 2
        assert not (tmp_path / "set").exists()

    def test_both_forms_or_none(self, tmp_path):
        self.refused(tmp_path, "either --table, or", table=TABLE, image_dir=tmp_path)
        self.refused(tmp_path, "either --table, or", scale=1.0)
        self.refused(tmp_path, "belong together", image_dir=tmp_path)

    def test_empty_and_missing_directories(self, tmp_path):
        self.refused(tmp_path, "--image-dir: .* does not exist")
        (tmp_path / "images").mkdir()
        (tmp_path / "labels").mkdir()
        self.refused(tmp_path, "--image-dir: no image in")
        self.refused(tmp_path, "is the same as --image-dir", image_dir=tmp_path, label_dir=tmp_path)

    def test_no_label_at_all(self, tmp_path):
        small(tmp_path)[1].unlink()
        self.refused(tmp_path, "No scene can be used.*1: no labels")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("image\na.tif\n", "no column label"),
            ("image,lable\na.tif,b.tif\n", "no column label; nearest: lable"),
            ("image,label\n", "has no row"),
            ("image,label\nimages/a.tif,\n", "row 1: label is empty"),
            ("image,label\nimages/a.tif,labels/a.tif\nimages/x.tif,labels/a.tif\n", r"row 2: no file .*x\.tif"),
            ("", "cannot be read"),
            ("image,label\nimages/a.tif,labels/a.tif\nimages/a.tif,labels/a.tif\n", "Two images have the id a"),
        ],
    )
    def test_tables(self, tmp_path, text, message):
        small(tmp_path)
        (tmp_path / "t.csv").write_text(text)
        self.refused(tmp_path, message, table=tmp_path / "t.csv")

    def test_values_that_stand_for_no_class(self, tmp_path):
        labels = np.zeros((64, 64), np.uint8)
        labels[0, :5], labels[1] = 7, 255
        small(tmp_path, labels=labels)
        self.refused(tmp_path, r"7 \(5 pixels, .*a\.tif\), 255 \(64 pixels, .*Classes are 0 to 1; say with --remap")
        self.refused(tmp_path, r"255 \(64", **directories(tmp_path, remap="0:0,7:1"))

    def test_a_picture_as_labels(self, tmp_path):
        small(tmp_path, labels=np.arange(4096, dtype=np.uint16).reshape(64, 64))
        self.refused(tmp_path, "and 4090 more.*look like a picture")

    def test_labels_off_the_image(self, tmp_path):
        _, label = small(tmp_path)
        write_raster(label, np.zeros((64, 64), np.uint8), origin=(ORIGIN[0], ORIGIN[1] + 6))
        self.refused(tmp_path, r"labels/a\.tif does not lie on .*images/a\.tif: shifted by 2 pixels")
        write_raster(label, np.zeros((60, 64), np.uint8))
        self.refused(tmp_path, "64 x 60 pixels against 64 x 64")

    def test_files_that_are_cut_or_no_images(self, tmp_path):
        image, _ = small(tmp_path)
        data = image.read_bytes()
        image.write_bytes(data[: len(data) // 2])
        self.refused(tmp_path, r"images/a\.tif: (the file is cut short|cannot be read)")
        image.write_text("not an image")
        self.refused(tmp_path, "cannot be read as a raster")

    def test_bands(self, tmp_path):
        small(tmp_path, descriptions=("blue", "green", "red", "nir"))
        self.refused(tmp_path, "no band gren.*nearest: green", **directories(tmp_path, bands=("gren",)))
        self.refused(tmp_path, "4 bands in the file, 3 names", **directories(tmp_path, band_names=("a", "b", "c")))
        small(tmp_path, "b", values=sample_pixels(bands=3, size=64), descriptions=("blue", "green", "red"))
        self.refused(tmp_path, r"b\.tif: no band nir; it has blue, green, red")

    def test_a_range_of_reflectance_for_counts(self, tmp_path):
        small(tmp_path, values=sample_pixels(size=64), descriptions=("blue", "green", "red", "nir"))
        options = directories(tmp_path, optical_range="v1")
        self.refused(tmp_path, "--optical-range is in reflectance, but blue", **options)

    def test_polygons_on_a_picture(self, tmp_path):
        write_raster(tmp_path / "images" / "a.tif", sample_pixels(size=64), origin=None)
        write_polygons(tmp_path / "labels" / "a.geojson", [box(0, 0, 3, 3)])
        self.refused(tmp_path, "the image has no coordinate reference system")

    def test_classes_and_sizes(self, tmp_path):
        small(tmp_path)
        self.refused(tmp_path, "--classes: name the background", **directories(tmp_path, classes=("a",)))
        self.refused(tmp_path, "--classes", **directories(tmp_path, classes=("a", "a")))
        self.refused(tmp_path, "--overlap: 32 must be less than --patch-size, 32", cut={"overlap": 32})
        self.refused(tmp_path, "2 is no class", **directories(tmp_path, remap="0:0,1:2"))

    def test_different_units(self, tmp_path):
        small(tmp_path, "a")
        image, _ = small(tmp_path, "b")
        with rasterio.open(image, "r+") as file:
            file.scales = (1e-4,) * 4
        self.refused(tmp_path, r"worth 0\.0001 in one scene and 1 in another .*give --scale")


def test_when_all_patches_are_dropped_the_reasons_are_said(tmp_path):
    small(tmp_path, labels=np.zeros((64, 64), np.uint8))
    cut = {"patch_size": 32, "exclude_nopositive": True}
    with pytest.raises(UserError, match=r"No patch was kept \(4: no foreground pixel\)"):
        preprocess(tmp_path / "set", cut, **directories(tmp_path))


def test_a_file_is_no_cache(tmp_path):
    (tmp_path / "cache").write_text("mine")
    with pytest.raises(UserError, match="--preprocess-cache"):
        preprocess(tmp_path / "a", out={"preprocess_cache": tmp_path / "cache"})
    assert not (tmp_path / "a").exists()


def test_the_cache_gives_the_same_set(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    first = preprocess(tmp_path / "a", out={"preprocess_cache": cache})
    entries = sorted(cache.iterdir())
    assert len(entries) == 2
    made = []
    original = work.cut_tile
    monkeypatch.setattr(work, "cut_tile", lambda *args: made.append(1) or original(*args))
    second = preprocess(tmp_path / "b", out={"preprocess_cache": cache})
    assert (second.data_hash, len(made)) == (first.data_hash, 0)
    entries[0].write_bytes(b"damaged")
    third = preprocess(tmp_path / "c", out={"preprocess_cache": cache})
    assert (third.data_hash, len(made)) == (first.data_hash, 1)
    forced = preprocess(tmp_path / "d", out={"preprocess_cache": cache, "force_preprocess": True})
    assert (forced.data_hash, len(made)) == (first.data_hash, 3)
    preprocess(tmp_path / "e", cut={"min_valid_fraction": 0.5}, out={"preprocess_cache": cache})
    assert len(made) == 5  # another setting, other entries


BLOCKS = {"tiled": True, "compress": "deflate", "blockxsize": 64, "blockysize": 64}


def damaged_in_its_middle(tmp_path):
    """A scene of which one block, that no look at the values meets, is no deflate stream, and a whole one after it."""
    small(tmp_path, "b", sample_pixels())
    image, _ = small(tmp_path, values=sample_pixels(), **BLOCKS)
    data = bytearray(image.read_bytes())
    with rasterio.open(image) as file:
        start = int(file.get_tag_item("BLOCK_OFFSET_0_2", "TIFF", bidx=1))
    data[start : start + 400] = bytes(400)
    image.write_bytes(bytes(data))
    return image


def test_a_scene_damaged_in_its_middle_is_left_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr("darts_train.preprocess.tiles.TILE_PIXELS", 128 * 128 * 4)
    image = damaged_in_its_middle(tmp_path)
    given = ({"patch_size": 128}, directories(tmp_path))
    summary = preprocess(tmp_path / "set", given[0], **given[1])
    ((scene, reason),) = summary.left_out
    assert scene == "a"
    assert "a.tif: cannot be read as a raster" in reason
    scenes = pd.read_parquet(tmp_path / "set" / "scenes.parquet").set_index("scene_id")
    assert scenes.loc["a", "status"] == "left out"
    assert scenes.loc["a", "patches"] == 4  # what was committed before stays, and is counted
    assert scenes.loc["b", "patches"] == 16
    assert validate_train_data(Inspect(train_data_dir=tmp_path / "set")).ok
    mended, _ = small(tmp_path, values=sample_pixels(), **BLOCKS)
    assert mended == image
    again = preprocess(tmp_path / "set", given[0], **given[1])
    assert (again.left_out, again.patches) == ((), 32)


def test_nothing_but_a_damaged_scene_is_an_error(tmp_path, monkeypatch):
    damaged_in_its_middle(tmp_path)
    for name in ("images/b.tif", "labels/b.tif"):
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match=r"No patch was kept \(.*a\.tif: cannot be read as a raster"):
        preprocess(tmp_path / "set", {"patch_size": 512}, **directories(tmp_path))


@pytest.mark.parametrize(("number", "left"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_finishes_the_tile_and_the_next_call_goes_on(tmp_path, monkeypatch, number, left):
    whole = preprocess(tmp_path / "whole")
    original = work.cut_tile

    def interrupted(*args):
        signal.raise_signal(number)
        return original(*args)

    monkeypatch.setattr(work, "cut_tile", interrupted)
    with pytest.raises(left):
        preprocess(tmp_path / "set")
    assert len(list((tmp_path / "set" / ".journal").glob("*.json"))) == 1
    monkeypatch.setattr(work, "cut_tile", original)
    assert preprocess(tmp_path / "set").data_hash == whole.data_hash


@pytest.mark.parametrize(("number", "left"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_second_signal_stops_at_once(number, left):
    before = signal.getsignal(number)  # ignored, where the tests run in the background of a shell

    def send_twice():
        with deferred_interrupt():
            signal.raise_signal(number)
            signal.raise_signal(number)

    with pytest.raises(left) as caught:
        send_twice()
    assert signal.getsignal(number) is before
    assert number == signal.SIGINT or caught.value.code == 143


def test_other_threads_are_not_asked_to_handle_signals():
    done = []

    def work():
        with deferred_interrupt() as check:
            check()
        done.append(1)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [1]
