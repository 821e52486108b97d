"""What PLANET trees hold by mistake: one line each, the others go on."""

import json

import numpy as np
import pandas as pd
import pytest
import rasterio

from darts_train.base.errors import UserError
from darts_train.cli.main import main
from darts_train.dataset.checks import validate_train_data
from darts_train.options.preprocessing import Inspect, Output
from tests.preprocess.test_planet_train_data import CUT, preprocess
from tests.support.geo import (
    CELL,
    ORIGIN,
    PLANET_ID,
    UTM,
    box,
    label_repository,
    planet_scene,
    sample_pixels,
    write_polygons,
    write_raster,
)  # fmt: skip

BAD_ID = "20190702_064217_29_1065"
BANDS = {"bands": ("red", "nir"), "arcticdem_dir": None, "tcvis_dir": None, "admin_dir": None}
SMALL = sample_pixels(size=256)


@pytest.fixture
def tree(tmp_path):
    """A good scene and one that each test spoils."""
    root = tmp_path / "tree"
    planet_scene(root / "data" / PLANET_ID, pixels=SMALL)
    planet_scene(root / "data" / BAD_ID, pixels=SMALL)
    images = [PLANET_ID, BAD_ID]
    label_repository(root / "labels", [(i, box(50, 50, 40, 40)) for i in images],
                     [(i, box(0, 0, 256, 256)) for i in images])  # fmt: skip
    return root


def image_of(tree, kind="SR"):
    return next((tree / "data" / BAD_ID).glob(f"*_{kind}.tif"))


def no_udm(tree):
    image_of(tree, "udm2").unlink()


def cut_short(tree):
    image_of(tree).write_bytes(image_of(tree).read_bytes()[:200_000])


def cut_udm(tree):
    image_of(tree, "udm2").write_bytes(image_of(tree, "udm2").read_bytes()[:100])


def a_jpeg(tree):
    path = image_of(tree)
    with rasterio.open(
        path.with_suffix(".jpg"), "w", driver="JPEG", width=64, height=64, count=3, dtype="uint8"
    ) as file:
        file.write(np.zeros((3, 64, 64), np.uint8))
    path.with_suffix(".jpg").rename(path)


def three_bands(tree):
    write_raster(image_of(tree), SMALL[:3])


def no_crs(tree):
    write_raster(image_of(tree), SMALL, crs=None)
    write_raster(image_of(tree, "udm2"), np.zeros((8, 256, 256), np.uint8), crs=None)


def other_mask(tree):
    write_raster(image_of(tree, "udm2"), np.zeros((8, 128, 128), np.uint8))


def few_mask_bands(tree):
    write_raster(image_of(tree, "udm2"), np.zeros((1, 256, 256), np.uint8))


def typo(tree):
    (tree / "data" / BAD_ID).rename(tree / "data" / "2019072_064217_29_1065")


def empty_directory(tree):
    for path in (tree / "data" / BAD_ID).iterdir():
        path.unlink()


def a_directory_named_tif(tree):
    path = image_of(tree)
    path.unlink()
    path.mkdir()


def empty_file(tree):
    image_of(tree).write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (no_udm, r"no \*_udm2\.tif"),
        (cut_short, "cut short|cannot be read"),
        (cut_udm, "cut short|cannot be read"),
        (a_jpeg, r"named \.tif, but it is JPEG"),
        (three_bands, "3 bands; a PLANET image has 4 or 8"),
        (no_crs, "no coordinate reference system"),
        (other_mask, "does not lie on"),
        (few_mask_bands, "1 bands; a UDM2 has 8"),
        (typo, "no PLANET image id"),
        (empty_directory, r"no \*_SR\.tif"),
        (a_directory_named_tif, "cannot be read|no such file"),
        (empty_file, "cannot be read"),
    ],
)
def test_a_spoilt_scene_is_left_out_with_the_reason_and_the_other_goes_on(tree, tmp_path, spoil, reason):
    spoil(tree)
    summary = preprocess(tree, Output(train_data_dir=tmp_path / "set"), **BANDS)
    assert summary.scenes == 1
    scenes = pd.read_parquet(tmp_path / "set" / "scenes.parquet").set_index("scene_id")
    reasons = scenes.loc[scenes["status"] == "left out", "reason"]
    assert reasons.str.contains(reason, regex=True).any()
    assert not reasons.str.contains("\n").any()
    assert validate_train_data(Inspect(train_data_dir=tmp_path / "set")).ok


def test_the_program_says_it_in_a_table_and_leaves_with_0(tree, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    no_udm(tree)
    arguments = ["--data-dir", str(tree / "data"), "--labels-dir", str(tree / "labels"), "--train-data-dir", "set",
                 "--bands", "red,nir", "--patch-size", "128", "--no-exclude-nan"]  # fmt: skip
    assert main(["preprocess-planet-train-data", *arguments]) == 0
    shown = capsys.readouterr()
    assert "     1  scenes can be used" in shown.err
    assert f"left out 1: {BAD_ID} ({tree}/data/{BAD_ID}: no *_udm2.tif and no *_udm2_clip.tif)" in shown.out


def test_nothing_usable_is_exit_code_2(tree, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for directory in (tree / "data").iterdir():
        next(directory.glob("*udm2.tif")).unlink()
    arguments = ["--data-dir", str(tree / "data"), "--labels-dir", str(tree / "labels"), "--train-data-dir", "set"]
    assert main(["preprocess-planet-train-data", *arguments, "--bands", "red"]) == 2
    assert "No scene can be used" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_labels_in_another_system_invalid_and_empty(tree, tmp_path):
    """A figure of eight is mended, an empty one counted, EPSG:3413 brought over."""
    import shapely

    x, y = ORIGIN[0] + 300, ORIGIN[1] - 300
    eight = shapely.Polygon([(x, y), (x + 60, y - 60), (x + 60, y), (x, y - 60)])
    labels = write_polygons(tmp_path / "l.gpkg", [eight, shapely.Polygon()], to="EPSG:3413",
                            image_id=[PLANET_ID, PLANET_ID])  # fmt: skip
    summary = preprocess(tree, Output(train_data_dir=tmp_path / "set"), labels_dir=labels, **BANDS)
    assert summary.scenes == 1
    positives = pd.read_parquet(tmp_path / "set" / "metadata.parquet")["positive_fraction"].sum() * 128 * 128
    assert 180 <= positives <= 220  # half of 20 x 20 pixels


def test_labels_without_a_system_are_refused(tree, tmp_path):
    labels = tmp_path / "l.shp"
    write_polygons(labels, [box(0, 0, 5, 5)], to=None, image_id=[PLANET_ID])
    labels.with_suffix(".prj").unlink()
    with pytest.raises(UserError, match=r"l\.shp: no coordinate reference system"):
        preprocess(tree, Output(train_data_dir=tmp_path / "set"), labels_dir=labels, **BANDS)


def test_an_empty_parquet_is_no_label_file(tree, tmp_path):
    (tmp_path / "labels.parquet").write_bytes(b"")
    with pytest.raises(UserError, match=r"labels\.parquet: cannot be read as a vector file"):
        preprocess(tree, Output(train_data_dir=tmp_path / "set"), labels_dir=tmp_path / "labels.parquet", **BANDS)


def test_a_loop_of_links_is_walked_once(tree, tmp_path):
    (tree / "data" / "again").symlink_to(tree / "data", target_is_directory=True)
    assert preprocess(tree, Output(train_data_dir=tmp_path / "set"), **BANDS).scenes == 2


def test_elevation_under_a_part_of_a_scene_says_its_share(tree, tmp_path, caplog):
    half = np.full((40, 40), 100.0, np.float32)
    origin = (ORIGIN[0] - 5 * 20, ORIGIN[1] + 5 * 20)  # 20 m pixels over the left 700 m of 768 m
    dem = write_raster(tmp_path / "dem.tif", half, origin=origin, cell=20.0, crs=UTM)
    changes = {**BANDS, "bands": ("red", "slope"), "arcticdem_dir": str(dem)}
    summary = preprocess(tree, Output(train_data_dir=tmp_path / "set"), **changes)
    assert summary.scenes == 2
    assert "covers 83 % of it" in caplog.text
    assert 256 * CELL == 768


def test_no_append_refuses_a_set_that_is_there(tree, tmp_path):
    root = tmp_path / "set"
    preprocess(tree, Output(train_data_dir=root, append=False), **BANDS)
    with pytest.raises(UserError, match="holds a set already; --append to add to it, --overwrite"):
        preprocess(tree, Output(train_data_dir=root, append=False), **BANDS)
    assert preprocess(tree, Output(train_data_dir=root, append=False, overwrite=True), **BANDS).scenes == 2


def test_small_images_are_padded_or_left_out(tree, tmp_path):
    from dataclasses import replace

    planet_scene(tree / "data" / BAD_ID, pixels=sample_pixels(size=100))
    assert preprocess(tree, Output(train_data_dir=tmp_path / "a"), **BANDS).scenes == 2
    skipping = replace(CUT, small_images="skip")
    summary = preprocess(tree, Output(train_data_dir=tmp_path / "b"), cut=skipping, **BANDS)
    assert dict(summary.left_out) == {BAD_ID: "smaller than a patch (100 x 100 pixels)"}


def test_many_classes_by_a_column(tree, tmp_path):
    labels = write_polygons(tmp_path / "l.gpkg", [box(20, 20, 30, 30), box(100, 100, 10, 10)],
                            image_id=[PLANET_ID] * 2, kind=["slump", "lake"])  # fmt: skip
    changes = {**BANDS, "labels_dir": labels, "classes": ("background", "lake", "slump"), "class_column": "kind"}
    preprocess(tree, Output(train_data_dir=tmp_path / "set"), **changes)
    shares = pd.read_parquet(tmp_path / "set" / "metadata.parquet")["class_fractions"].sum() * 128 * 128
    assert shares[1:].round().tolist() == [100, 900]
    described = json.loads((tmp_path / "set" / "labels.geojson").read_text())
    assert sorted(feature["properties"]["class"] for feature in described["features"]) == [1, 2]
