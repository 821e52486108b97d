"""Sentinel-2 scenes in folders and SAFE products."""

import json

import numpy as np
import pytest
import rasterio

from darts_train.base.errors import UserError
from darts_train.raster.patches import Window
from darts_train.scenes.sentinel2 import find_folders, label_file_of, open_folder, parse_day, scl_quality
from darts_train.scenes.sentinel2_safe import find_products, open_product
from tests.support.geo import write_raster
from tests.support.sentinel2 import CELL, ID, NAMES, ORIGIN, PRODUCT, SIZE, UTM, pixels, safe_product, scene_folder

WHOLE = Window(0, 0, SIZE, SIZE)
FOUR = NAMES[:4]


def test_scene_classes_become_quality():
    every = scl_quality(np.arange(12))
    assert every.tolist() == [0, 0, 2, 1, 2, 2, 2, 2, 1, 1, 2, 1]


@pytest.mark.parametrize(
    ("name", "day"),
    [(f"{ID}_SR", "2021-07-14"), (PRODUCT, "2021-07-14"), ("20211399T1_x", None), ("tile_7", None),
     ("99999999_20200229", "2020-02-29")],
)  # fmt: skip
def test_the_day_of_a_name(name, day):
    assert parse_day(name.replace("T", "_")) == day


def test_a_folder(tmp_path):
    scene = open_folder(scene_folder(tmp_path / "crop1"))
    assert (scene.scene_id, scene.date, scene.sun) == (f"crop1_{ID}", "2021-07-14", None)
    assert tuple(scene.bands) == FOUR
    counts = pixels()
    values = scene.read(FOUR, WHOLE)
    assert np.array_equal(np.isnan(values), counts == 0)
    assert np.allclose(np.nan_to_num(values), counts * 1e-4, atol=1e-7)
    quality = scene.quality(WHOLE)
    present = (counts != 0).any(axis=0)
    assert np.array_equal(quality[40:80, 60:120] == 1, present[40:80, 60:120])
    assert np.array_equal(quality[120:140, 60:120] == 1, present[120:140, 60:120])
    assert (quality[:10, :10] == 0).all()
    assert np.array_equal(quality[200:] == 2, present[200:])


def test_quality_does_not_depend_on_the_window(tmp_path):
    scene = open_folder(scene_folder(tmp_path / "a"))
    whole = scene.quality(WHOLE)
    for window in (Window(33, 21, 100, 77), Window(401, 399, 79, 81)):
        assert np.array_equal(scene.quality(window), whole[window.slices(WHOLE)])
    beyond = scene.quality(Window(-5, SIZE - 5, 10, 10))
    assert (beyond[:, :5] == 0).all()
    assert (beyond[5:] == 0).all()


def test_a_file_that_states_its_scale_is_believed(tmp_path):
    folder = scene_folder(tmp_path / "a", values=pixels() + np.uint16(1000))
    with rasterio.open(folder / f"{ID}_SR.tif", "r+") as file:
        file.scales, file.offsets = (1e-4,) * 4, (-0.1,) * 4
    values = open_folder(folder).read(["red"], Window(200, 200, 50, 50))
    assert np.allclose(values, pixels()[2, 200:250, 200:250] * 1e-4, atol=1e-6)


def test_without_a_classification_all_data_are_good(tmp_path, caplog):
    scene = open_folder(scene_folder(tmp_path / "a", scl=False))
    assert "no *_SCL*.tif" in caplog.text
    assert set(np.unique(scene.quality(WHOLE))) <= {0, 2}


def test_more_bands_need_names(tmp_path):
    scene_folder(tmp_path / "named", values=pixels(6), descriptions=NAMES)
    assert tuple(open_folder(tmp_path / "named").bands) == NAMES
    scene_folder(tmp_path / "nameless", values=pixels(6))
    with pytest.raises(UserError, match="6 bands without names"):
        open_folder(tmp_path / "nameless")


def test_the_sun_and_the_day_of_an_item(tmp_path):
    folder = scene_folder(tmp_path / "a", name="x_y_z")
    properties = {"datetime": "2020-08-01T10:00:00Z", "view:sun_azimuth": 170.0, "view:sun_elevation": 40}
    (folder / "item.json").write_text(json.dumps({"properties": properties}))
    scene = open_folder(folder)
    assert (scene.date, scene.sun) == ("2020-08-01", (170.0, 40.0))
    (folder / "item.json").write_text("{")
    assert open_folder(folder).sun is None


def test_an_empty_folder(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(UserError, match=r"no \*_SR\*\.tif"):
        open_folder(tmp_path / "a")


def test_labels_beside_an_image(tmp_path):
    folder = scene_folder(tmp_path / "a")
    assert label_file_of(folder) is None
    (folder / "other.gpkg").write_text("")
    assert label_file_of(folder).name == "other.gpkg"
    (folder / f"{ID}.shp").write_text("")
    assert label_file_of(folder).name == f"{ID}.shp"
    (folder / f"{ID}.shp").unlink()
    (folder / "third.geojson").write_text("")
    with pytest.raises(UserError, match=r"labels are in other\.gpkg, third\.geojson; keep one"):
        label_file_of(folder)


def test_folders_and_products_are_told_apart(tmp_path):
    for name in ("b", "a", ".hidden", "p.SAFE"):
        (tmp_path / name).mkdir()
    assert [path.name for path in find_folders(tmp_path)] == ["a", "b"]
    assert [path.name for path in find_products(tmp_path)] == ["p.SAFE"]
    assert find_products(tmp_path / "p.SAFE") == [tmp_path / "p.SAFE"]


@pytest.mark.parametrize("offset", [None, -1000])
def test_a_product_before_and_after_the_offset(tmp_path, offset):
    scene = open_product(safe_product(tmp_path, offset=offset))
    assert (scene.scene_id, scene.date) == (PRODUCT, "2021-07-14")
    assert scene.sun == pytest.approx((181.5, 38.0))
    assert set(scene.bands) == set(NAMES)
    counts = pixels(6)
    values = scene.read(NAMES, WHOLE)
    assert np.array_equal(np.isnan(values[:4]), counts[:4] == 0)
    assert np.allclose(np.nan_to_num(values[:4]), counts[:4] * 1e-4, atol=1e-6)
    coarse = counts[4, ::2, ::2].repeat(2, axis=0).repeat(2, axis=1)
    assert np.allclose(np.nan_to_num(values[4]), coarse * 1e-4, atol=1e-6)
    assert (scene.quality(WHOLE)[40:80, 60:120] == 1).any()


def test_windows_of_a_product_are_parts_of_the_whole(tmp_path):
    scene = open_product(safe_product(tmp_path))
    whole = scene.read(NAMES, WHOLE)
    for window in (Window(33, 21, 100, 77), Window(1, 1, 1, 1), Window(399, 301, 80, 170)):
        assert np.array_equal(scene.read(NAMES, window), whole[(slice(None), *window.slices(WHOLE))], equal_nan=True)
    beyond = scene.read(["swir16"], Window(-3, -4, 10, 10))[0]
    assert np.isnan(beyond[:4]).all()
    assert np.array_equal(beyond[4:, 3:], whole[4, :6, :7], equal_nan=True)


def remove_red(safe):
    next(safe.glob("GRANULE/*/IMG_DATA/R10m/*_B04_*")).unlink()


def cut_blue(safe):
    path = next(safe.glob("GRANULE/*/IMG_DATA/R10m/*_B02_*"))
    path.write_bytes(path.read_bytes()[:100])


def second_granule(safe):
    (safe / "GRANULE" / "another").mkdir()


def other_size(safe):
    write_raster(safe / "x.tif", np.zeros((10, 10), np.uint16), origin=ORIGIN, cell=CELL, crs=UTM)
    (safe / "x.tif").rename(next(safe.glob("GRANULE/*/IMG_DATA/R20m/*_B11_*")))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove_red, "no IMG_DATA/R10m/.*_B04_10m"),
        (cut_blue, "cannot be read as a raster"),
        (second_granule, "2 folders in GRANULE"),
        (other_size, "10 pixels wide, which does not fit 480"),
        (lambda safe: (safe / "MTD_MSIL2A.xml").write_text("<a>"), "cannot be read as XML"),
        (lambda safe: (safe / "MTD_MSIL2A.xml").write_text("<a/>"), "does not say what a count is worth"),
        (lambda safe: (safe / "MTD_MSIL2A.xml").rename(safe / "MTD_MSIL1C.xml"), "level-1C product"),
        (lambda safe: (safe / "MTD_MSIL2A.xml").unlink(), r"no MTD_MSIL2A\.xml"),
    ],
)
def test_damaged_products_are_refused_in_one_line(tmp_path, damage, message):
    safe = safe_product(tmp_path)
    damage(safe)
    with pytest.raises(UserError, match=message) as caught:
        open_product(safe)
    assert "\n" not in str(caught.value)
