"""preprocess-s2-train-data on folders, SAFE products, and scenes of a STAC API that the test serves itself."""

import json
import shutil
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
import zarr

from darts_train.base.errors import UserError
from darts_train.options.preprocessing import Labelling, Output, Parallel, Patches, Sentinel2, Stac, Terrain
from darts_train.preprocess import tiles
from darts_train.preprocess.sentinel2 import preprocess_s2_train_data
from tests.preprocess.test_killed import digests
from tests.scenes.loopback import serve
from tests.support.geo import PLANET_ID, box, elevation, label_repository, trends, write_polygons
from tests.support.sentinel2 import (
    CELL,
    ID,
    ORIGIN,
    PRODUCT,
    footprint,
    pixels,
    safe_product,
    scene_folder,
    stac_item,
)  # fmt: skip

CUT = Patches(patch_size=120, overlap=0, exclude_nan=False)
BANDS = ("blue", "green", "red", "nir", "ndvi")


def preprocess(root, directory, **changes):
    given = {"sentinel2_dir": directory, "bands": BANDS, "mask_erosion_size": 0, "train_data_dir": root, **changes}
    groups = {
        group: group(**{field.name: given.pop(field.name) for field in fields(group) if field.name in given})
        for group in (Sentinel2, Output, Terrain, Labelling, Stac)
    }
    assert not given
    return preprocess_s2_train_data(
        groups[Sentinel2], groups[Output], CUT, groups[Terrain], groups[Labelling], groups[Stac]
    )


def polygon(column, row, width, height):
    return box(column, row, width, height, ORIGIN, CELL)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Two folders with labels of their own, one without, one without an image, and a product. No test changes it."""
    root = tmp_path_factory.mktemp("tree") / "s2"
    scene_folder(root / "crop1")
    write_polygons(root / "crop1" / f"{ID}.shp", [polygon(200, 200, 40, 30)], kind=["slump"])
    scene_folder(root / "crop2", scl=False)
    write_polygons(root / "crop2" / "labels.gpkg", [polygon(10, 300, 20, 20)], kind=["slump"])
    scene_folder(root / "crop3")
    (root / "nothing").mkdir()
    safe_product(root)
    write_polygons(root / f"{PRODUCT}.geojson", [polygon(200, 200, 40, 30), polygon(300, 50, 9, 9)],
                   kind=["slump", "lake"])  # fmt: skip
    return root


def test_folders_and_products(tree, tmp_path):
    summary = preprocess(tmp_path / "set", tree)
    assert summary.scenes == 3
    assert dict(summary.left_out) == {
        f"crop3_{ID}": "no labels", "nothing": f"{tree}/nothing: no *_SR*.tif",
    }  # fmt: skip
    metadata = pd.read_parquet(tmp_path / "set" / "metadata.parquet")
    assert set(metadata["sample_id"]) == {f"crop1_{ID}", f"crop2_{ID}", PRODUCT}
    assert set(metadata["date"]) == {"2021-07-14"}
    assert set(metadata["source"]) == {f"crop1/{ID}_SR.tif", f"crop2/{ID}_SR.tif", f"{PRODUCT}.SAFE"}
    group = zarr.open_group(tmp_path / "set" / "data.zarr", mode="r")
    positives = [int((group["y"][i] == 1).sum()) for i in range(len(metadata))]
    assert metadata.assign(n=positives).groupby("sample_id")["n"].sum().to_dict() == {
        f"crop1_{ID}": 1200, f"crop2_{ID}": 400, PRODUCT: 1281,
    }  # fmt: skip
    row = metadata.index[(metadata["sample_id"] == PRODUCT) & (metadata["x"] == 120) & (metadata["y"] == 120)][0]
    codes = pixels()[:, 120:240, 120:240]
    assert np.array_equal(group["x"][row][:4], np.where(codes == 0, 65535, codes + 1000))


def test_classes_by_a_column_and_a_filter(tree, tmp_path):
    many = {"classes": ("background", "slump", "lake"), "class_column": "kind"}
    preprocess(tmp_path / "a", tree, **many)
    y = zarr.open_group(tmp_path / "a" / "data.zarr", mode="r")["y"][:]
    assert ((y == 1).sum(), (y == 2).sum()) == (1200 + 400 + 1200, 81)
    preprocess(tmp_path / "b", tree, label_filter="kind=slump")
    y = zarr.open_group(tmp_path / "b" / "data.zarr", mode="r")["y"][:]
    assert (y == 1).sum() == 1200 + 400 + 1200
    features = json.loads((tmp_path / "b" / "labels.geojson").read_text())["features"]
    assert len(features) == 3


def test_all_bands_with_terrain_and_trends(tree, tmp_path):
    elevation(tmp_path / "dem.tif", size=400)
    trends(tmp_path / "tc.tif")
    summary = preprocess(
        tmp_path / "set", tree, arcticdem_dir=str(tmp_path / "dem.tif"), tcvis_dir=str(tmp_path / "tc.tif"),
        bands=(*BANDS, "tc_brightness", "relative_elevation", "slope"),
    )  # fmt: skip
    assert summary.scenes == 3
    assert zarr.open_group(tmp_path / "set" / "data.zarr", mode="r")["x"].shape[1] == 8


def test_a_band_that_only_products_have(tree, tmp_path):
    summary = preprocess(tmp_path / "set", tree, bands=("red", "swir16"))
    assert summary.scenes == 1
    assert "swir16" in dict(summary.left_out)[f"crop1_{ID}"]


def test_a_product_itself_is_a_root(tree, tmp_path):
    summary = preprocess(tmp_path / "set", tree / f"{PRODUCT}.SAFE")
    assert summary.scenes == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bands": ("red", "yellow")}, "yellow is no band of Sentinel-2 scenes"),
        ({"sentinel2_dir": "none"}, "--sentinel2-dir: .* does not exist"),
        ({"sentinel2_dir": "empty"}, r"no scene folder and no \.SAFE product"),
        ({"label_filter": "kind"}, "--label-filter: kind is not COLUMN=VALUE"),
        ({"label_filter": "kin=x"}, "No scene can be used .*no column kin"),
        ({"classes": ("background",)}, "--classes: name the background"),
        ({"stac_url": "http://127.0.0.1:9"}, "give --labels-dir"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(tree, tmp_path, changes, message):
    (tmp_path / "empty").mkdir()
    if "sentinel2_dir" in changes:
        changes = {"sentinel2_dir": tmp_path / changes["sentinel2_dir"]}
    with pytest.raises(UserError, match=message):
        preprocess(tmp_path / "set", **{"directory": tree, **changes} if "sentinel2_dir" not in changes else
                   {"directory": changes["sentinel2_dir"]})  # fmt: skip
    assert not (tmp_path / "set").exists()


IMAGES = (PLANET_ID, "20210720_200000_1035", "20190101_200000_1035")


NOWHERE = "http://nowhere"


@pytest.fixture(scope="module")
def offered(tmp_path_factory):
    """The files of five items, and the items as JSON with addresses at NOWHERE: written once for all tests."""
    root = tmp_path_factory.mktemp("offered")
    items = [
        stac_item("S2A_CLEAR_1_x", root, NOWHERE, cloud=1.0),
        stac_item("S2A_CLOUDY_1_x", root, NOWHERE, cloud=9.0),
        stac_item("S2A_FAR_1_x", root, NOWHERE, cloud=1.0, day="2021-07-17"),
        stac_item("S2A_PART_1_x", root, NOWHERE, outline=footprint(0, 0, 150, 480)),
        stac_item("S2A_SNOW_1_x", root, NOWHERE, **{"s2:snow_ice_percentage": 80.0}),
    ]
    return root, json.dumps(items)


@pytest.fixture
def api(offered, tmp_path, monkeypatch):
    """Three footprints; for the first a clear, a cloudy and a distant scene, for the second one, for the third none."""
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.05")
    monkeypatch.setattr("darts_train.scenes.stac._BACKOFF", 0.02)
    rows = [(image, polygon(60 + 10 * i, 60, 300, 240)) for i, image in enumerate(IMAGES)]
    label_repository(tmp_path / "labels", [(image, polygon(100, 100, 30, 20)) for image in IMAGES], rows)
    files, written = offered
    shutil.copytree(files, tmp_path / "served")
    with serve(tmp_path / "served") as (site, address):
        items = json.loads(written.replace(NOWHERE, address))

        def search(body):
            query = json.loads(body)
            start, stop = (moment[:10] for moment in query["datetime"].split("/"))
            wanted = shapely.geometry.shape(query["intersects"])
            chosen = [
                item for item in items
                if start <= item["properties"]["datetime"][:10] <= stop
                and shapely.geometry.shape(item["geometry"]).intersects(wanted)
            ]  # fmt: skip
            return {"type": "FeatureCollection", "features": chosen, "links": []}

        link = {"rel": "search", "type": "application/geo+json", "href": f"{address}/api/search", "method": "POST"}
        site.answers["/api/"] = lambda _: {
            "type": "Catalog", "id": "test", "stac_version": "1.0.0", "description": "test", "links": [link],
            "conformsTo": ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"],
        }  # fmt: skip
        site.answers["/api/search"] = search
        yield site, f"{address}/api/"


def test_the_best_scene_of_each_footprint_is_fetched_once(api, tmp_path):
    site, url = api
    site.trouble["/api/search"] = 2  # the server is busy at first
    site.trouble["/S2A_CLEAR_1_x_B04.tif"] = 2
    given = {"labels_dir": tmp_path / "labels", "stac_url": url}
    store = tmp_path / "store"
    summary = preprocess(tmp_path / "set", store, **given)
    matches = json.loads((store / "matches.json").read_text())["matches"]
    assert {image: match and match["item"] for image, match in matches.items()} == {
        IMAGES[0]: "S2A_CLEAR_1_x", IMAGES[1]: "S2A_FAR_1_x", IMAGES[2]: None,
    }  # fmt: skip
    assert (summary.scenes, dict(summary.left_out)) == (2, {IMAGES[2]: "labels without a scene"})
    asked = site.asked.total()
    again = preprocess(tmp_path / "again", store, **given)
    assert again.data_hash == summary.data_hash
    assert site.asked.total() == asked  # the second run asked nothing
    with rasterio.open(store / IMAGES[0] / "S2A_CLEAR_1_x_SR.tif") as file:
        assert (file.descriptions, file.scales[0], file.offsets[0]) == (("blue", "green", "red", "nir"), 1e-4, 0.0)
        assert file.width % 6 == file.height % 6 == 0
        left, top = round((file.transform.c - ORIGIN[0]) / CELL), round((ORIGIN[1] - file.transform.f) / CELL)
        assert 40 <= left <= 60
        assert np.array_equal(file.read(), pixels()[:, top : top + file.height, left : left + file.width])


def test_a_fetched_scene_is_labelled_within_its_footprint(api, tmp_path):
    _, url = api
    preprocess(tmp_path / "set", tmp_path / "store", labels_dir=tmp_path / "labels", stac_url=url)
    y = zarr.open_group(tmp_path / "set" / "data.zarr", mode="r")["y"][:]
    assert (y == 1).sum() == 2 * 600
    assert (y == 255).sum() > 0
    rows = pd.read_parquet(tmp_path / "set" / "metadata.parquet")
    assert set(rows["date"]) == {"2021-07-14", "2021-07-17"}
    preprocess(tmp_path / "all", tmp_path / "store", labels_dir=tmp_path / "labels", stac_url=url,
               footprint_extent=False)  # fmt: skip
    more = zarr.open_group(tmp_path / "all" / "data.zarr", mode="r")["y"][:]
    assert (more == 0).sum() > (y == 0).sum()


def test_an_item_that_cannot_be_fetched_is_passed_over_and_tried_again(api, tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("CPL_VSIL_CURL_NON_CACHED", "/vsicurl/http://127.0.0.1")  # GDAL remembers what was not there
    site, url = api
    band = site.root / "S2A_FAR_1_x_B08.tif"
    content = band.read_bytes()
    band.unlink()
    given = {"labels_dir": tmp_path / "labels", "stac_url": url}
    assert preprocess(tmp_path / "set", tmp_path / "store", **given).scenes == 1
    assert f"{IMAGES[1]}: not fetched" in caplog.text
    assert not [path for path in (tmp_path / "store").iterdir() if path.name.startswith(".")]
    band.write_bytes(content)
    assert preprocess(tmp_path / "set", tmp_path / "store", **given).scenes == 2


def test_a_dry_run_asks_and_fetches_nothing(api, tmp_path, caplog):
    site, url = api
    with caplog.at_level("INFO", "darts"):
        summary = preprocess(
            tmp_path / "set", tmp_path / "store", labels_dir=tmp_path / "labels", stac_url=url, dry_run=True
        )
    assert summary.dry_run
    assert "3 of 3 footprints would be asked for" in caplog.text
    assert not (tmp_path / "store").exists()
    assert site.asked.total() == 0


def test_an_api_that_does_not_answer(api, tmp_path, monkeypatch):
    site, url = api
    monkeypatch.setattr("darts_train.scenes.stac._RETRIES", 1)
    site.trouble["/api/"] = 99
    with pytest.raises(UserError, match=r"--stac-url: .* gave no answer that can be used"):
        preprocess(tmp_path / "set", tmp_path / "store", labels_dir=tmp_path / "labels", stac_url=url)


def test_two_workers_give_the_same_set(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(tiles, "TILE_PIXELS", CUT.patch_size**2 * 8)  # two tiles of each scene
    sentinel2 = Sentinel2(sentinel2_dir=tree, bands=BANDS)
    for workers in (1, 2):
        preprocess_s2_train_data(
            sentinel2, Output(train_data_dir=tmp_path / str(workers)), CUT, Terrain(),
            parallel=Parallel(workers=workers),
        )  # fmt: skip
    assert digests(tmp_path / "1") == digests(tmp_path / "2")
