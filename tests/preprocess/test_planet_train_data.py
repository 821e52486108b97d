"""preprocess-planet-train-data on a PLANET tree made from the bundled scenes."""

import json
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import zarr
from affine import Affine

from darts_train.base.errors import UserError
from darts_train.dataset.set_config import SetConfig
from darts_train.options.preprocessing import SATELLITE_BANDS, Labelling, Output, Patches, Planet, Terrain
from darts_train.preprocess.planet import preprocess_planet_train_data
from tests.support.geo import (
    CELL,
    ORIGIN,
    ORTHOTILE_ID,
    PLANET_ID,
    box,
    elevation,
    label_repository,
    planet_scene,
    sample_pixels,
    test_data,
    trends,
    udm2,
    write_polygons,
)  # fmt: skip

OTHER_ID = "20190702_064217_29_1065"
UNLABELLED_ID = "20200101_000000_ffff"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two usable scenes, one of them an orthotile with labels by prefix; others that lack something."""
    root = tmp_path_factory.mktemp("planet")
    mask = udm2(512, unusable=[np.s_[:40, :40]], cloud=[np.s_[200:220, 300:512]])
    planet_scene(root / "data" / "iteration001" / "Banks" / PLANET_ID, mask=mask)
    planet_scene(root / "data" / "iteration002" / ORTHOTILE_ID, pixels=sample_pixels("sentinel2"), clip="_clip")
    planet_scene(root / "data" / "iteration002" / UNLABELLED_ID)
    planet_scene(root / "data" / "iteration002" / PLANET_ID)
    broken = planet_scene(root / "data" / "iteration002" / OTHER_ID)
    image = next(broken.glob("*_SR.tif"))
    image.write_bytes(image.read_bytes()[:200_000])
    labels = [
        (PLANET_ID, box(100, 100, 50, 40)),
        (PLANET_ID, box(310, 205, 20, 10)),
        (ORTHOTILE_ID[:-1], box(10, 10, 60, 60)),
        (OTHER_ID, box(10, 10, 60, 60)),
        ("20170101_000000_0000", box(0, 0, 5, 5)),
    ]
    whole = box(0, 0, 512, 512)
    footprints = [(PLANET_ID, box(0, 0, 400, 512)), (PLANET_ID, box(0, 0, 380, 512)), (ORTHOTILE_ID, whole)]
    label_repository(root / "labels", labels, footprints)
    elevation(root / "dem" / "dem.tif")
    trends(root / "tc" / "tc.tif")
    write_polygons(root / "admin" / "ADM2.geojson", [box(-200, -200, 2000, 2000)], shapeName=["Inuvik, Region"])
    return root


CUT = Patches(patch_size=128, overlap=0, exclude_nan=False)


def preprocess(tree, output, cut=CUT, **changes):
    given = {
        "data_dir": tree / "data", "labels_dir": tree / "labels", "arcticdem_dir": tree / "dem",
        "tcvis_dir": tree / "tc", "admin_dir": tree / "admin", "mask_erosion_size": 0, **changes,
    }  # fmt: skip
    groups = [
        group(**{field.name: given.pop(field.name) for field in fields(group) if field.name in given})
        for group in (Planet, Terrain, Labelling)
    ]
    assert not given
    return preprocess_planet_train_data(groups[0], output, cut, *groups[1:])


@pytest.fixture(scope="module")
def planet_set(tree, tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    return root, preprocess(tree, Output(train_data_dir=root))


def test_what_is_used_and_what_is_left_out(planet_set):
    root, summary = planet_set
    assert summary.scenes == 2
    reasons = dict(summary.left_out)
    assert reasons[UNLABELLED_ID] == "no labels"
    assert "the file is cut short" in reasons[OTHER_ID] or "cannot be read" in reasons[OTHER_ID]
    assert "the same image as" in reasons[PLANET_ID]
    assert reasons["20170101_000000_0000"] == "labels without a scene"
    scenes = pd.read_parquet(root / "scenes.parquet").set_index("scene_id")
    assert scenes["status"].to_dict() == {
        OTHER_ID: "left out", UNLABELLED_ID: "left out", "20170101_000000_0000": "left out",
        PLANET_ID: "done", ORTHOTILE_ID: "done",
    }  # fmt: skip
    assert "left out 4" in summary.summary()


def test_metadata(planet_set):
    metadata = pd.read_parquet(planet_set[0] / "metadata.parquet")
    assert set(metadata["sample_id"]) == {PLANET_ID, ORTHOTILE_ID}
    assert set(metadata["region"]) == {"Inuvik, Region"}
    assert set(metadata["date"]) == {"2021-07-14"}
    assert metadata["source"].iloc[0].startswith("iteration001/Banks/")
    bounds = shapely.from_wkb(metadata["geometry"].iloc[0]).bounds
    assert -135 < bounds[0] < bounds[2] < -134


def scene_of(root, sample_id):
    """x and y of a scene put together again from its patches."""
    metadata = pd.read_parquet(root / "metadata.parquet")
    group = zarr.open_group(root / "data.zarr", mode="r")
    x, y = np.zeros((10, 512, 512), np.uint16), np.full((512, 512), 77, np.uint8)
    for index, row in metadata[metadata["sample_id"] == sample_id].iterrows():
        place = np.s_[row.y : row.y + 128, row.x : row.x + 128]
        x[(slice(None), *place)], y[place] = group["x"][index], group["y"][index]
    return x, y


def test_masks_and_labels(planet_set):
    x, y = scene_of(planet_set[0], PLANET_ID)
    assert (x[:, :40, :40] == 65535).all()
    assert (y[:40, :40] == 255).all()
    assert (y[200:220, 300:384] == 255).all()  # cloud: ignored, but seen
    assert (x[0, 200:220, 300:384] != 65535).all()
    assert (y[:, 400:] != 0).all()  # outside the footprint
    assert (y[100:140, 100:150] == 1).all()
    assert (y == 1).sum() == 50 * 40
    _, other = scene_of(planet_set[0], ORTHOTILE_ID)
    assert (other[10:70, 10:70] == 1).sum() > 3000


def test_bands(planet_set):
    x, _ = scene_of(planet_set[0], PLANET_ID)
    config = SetConfig.read(planet_set[0] / "config.toml")
    assert config.band_names == SATELLITE_BANDS
    counts = sample_pixels()
    assert np.array_equal(x[2, 300:380, 10:300], counts[2, 300:380, 10:300] + 1000)
    terrain = x[8:, 60:, 60:380]
    assert (terrain != 65535).all()
    assert terrain[1].min() > 0
    trend = x[5, 60:, 60:380]
    assert trend.min() >= 40
    assert trend.max() <= 220


def test_labels_are_written_as_used(planet_set):
    features = json.loads((planet_set[0] / "labels.geojson").read_text())["features"]
    assert [feature["properties"]["sample_id"] for feature in features] == [PLANET_ID, PLANET_ID, ORTHOTILE_ID]
    assert features[0]["properties"]["region"] == "Inuvik, Region"


def test_a_mended_scene_is_added(tree, tmp_path):
    data = tmp_path / "data" / "x"
    directory = planet_scene(data / PLANET_ID)
    planet_scene(data / OTHER_ID)
    image = next(directory.glob("*_SR.tif"))
    whole = image.read_bytes()
    image.write_bytes(whole[:150_000])
    given = {"data_dir": tmp_path / "data", "bands": ("red", "nir"), "arcticdem_dir": None, "tcvis_dir": None}
    first = preprocess(tree, Output(train_data_dir=tmp_path / "set"), **given)
    image.write_bytes(whole)
    second = preprocess(tree, Output(train_data_dir=tmp_path / "set"), **given)
    assert (first.scenes, second.scenes) == (1, 2)
    scenes = pd.read_parquet(tmp_path / "set" / "scenes.parquet").set_index("scene_id")
    assert scenes.loc[PLANET_ID, "status"] == "done"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arcticdem_dir": None}, "--arcticdem-dir is needed for band relative_elevation"),
        ({"tcvis_dir": None}, "--tcvis-dir is needed for band tc_brightness"),
        ({"bands": ("red", "ndmi", "slope")}, "PLANET scenes: band ndmi needs swir16, which it has not"),
        ({"bands": ("red", "ndiv")}, "ndiv is no band of PLANET scenes.*nearest: ndvi"),
        ({"data_dir": "labels"}, "no directory below .* is named like a PLANET image"),
        ({"data_dir": "none"}, "--data-dir: .* does not exist"),
        ({"labels_dir": "data"}, "--labels-dir: no vector file"),
        ({"bands": ("rededge",)}, "No scene can be used"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(tree, tmp_path, changes, message):
    changes = {key: tree / value if isinstance(value, str) else value for key, value in changes.items()}
    with pytest.raises(UserError, match=message):
        preprocess(tree, Output(train_data_dir=tmp_path / "s"), **changes)
    assert not (tmp_path / "s").exists()


def test_a_scene_beyond_the_elevation_is_left_out(tree, tmp_path):
    """The dry run says so before any work: the orthotile lies 100 km from all elevation."""
    planet_scene(tmp_path / "data" / PLANET_ID)
    far = (ORIGIN[0] + 100_000, ORIGIN[1])
    away = planet_scene(tmp_path / "data" / ORTHOTILE_ID)
    for file in away.glob("*.tif"):
        with rasterio.open(file, "r+") as moved:
            moved.transform = Affine(CELL, 0.0, far[0], 0.0, -CELL, far[1])
    output = Output(train_data_dir=tmp_path / "s", dry_run=True)
    summary = preprocess(tree, output, data_dir=tmp_path / "data", arcticdem_dir=str(tree / "dem"))
    assert summary.scenes == 1
    assert "dem.tif covers none of it" in dict(summary.left_out)[ORTHOTILE_ID]


def test_a_dry_run(tree, tmp_path):
    output = Output(train_data_dir=tmp_path / "s", dry_run=True)
    summary = preprocess(tree, output)
    assert (summary.scenes, summary.patches, summary.dry_run) == (2, 32, True)
    assert not (tmp_path / "s").exists()


def test_a_real_udm2(tmp_path):
    """A real usable data mask over pixels of the sample, tiled to its size."""
    import rasterio

    with rasterio.open(test_data("planet_udm/20151119_025740_0c74_3B_udm2_clip.tif")) as file:
        mask = file.read()[:, 400:912, 400:912]
    directory = planet_scene(tmp_path / "data" / "i" / PLANET_ID, mask=mask)
    labels = write_polygons(tmp_path / "l.gpkg", [box(200, 200, 30, 30)], image_id=[PLANET_ID])
    given = Planet(data_dir=tmp_path / "data", labels_dir=labels, bands=("red", "ndvi"), mask_erosion_size=3)
    cut = Patches(patch_size=64, overlap=0, exclude_nan=False, min_valid_fraction=0.0)
    summary = preprocess_planet_train_data(given, Output(train_data_dir=tmp_path / "s"), cut, Terrain())
    assert directory.exists()
    metadata = pd.read_parquet(tmp_path / "s" / "metadata.parquet")
    usable = (mask[7] == 0) & ~(mask[1:6] == 1).any(axis=0)
    assert summary.patches == len(metadata)
    for row in metadata.itertuples():
        share = usable[row.y : row.y + 64, row.x : row.x + 64].mean()
        assert row.valid_fraction <= share + 1e-9
