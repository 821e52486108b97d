"""From PLANET folders to a tested network, by the commands that a user calls.

Real pixels, real cloud polygons, a real usable data mask where the shared data has one; elevation and trends on other
grids.
"""

import json

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.features import shapes

from darts_train.cli.main import main
from tests.support.geo import (
    CELL,
    DATA,
    ORIGIN,
    SAMPLE,
    Affine,
    box,
    elevation,
    label_repository,
    planet_scene,
    sample_pixels,
    trends,
    udm2,
    write_polygons,
)  # fmt: skip

SCENES = {"20210714_201612_1035": "landsat7", "20210715_201612_1035": "sentinel2"}
REAL_UDM2 = DATA / "planet_udm" / "20151119_025740_0c74_3B_udm2_clip.tif"
BANDS = "blue,green,red,nir,ndvi,tc_brightness,relative_elevation,slope"


def clouds(name):
    """Outlines of the clouds of a bundled scene, on the pixels of a PLANET scene of these tests."""
    with rasterio.open(SAMPLE / f"{name}_mask.tif") as file:
        mask = (file.read(1) == 4).astype(np.uint8)
    place = Affine(CELL, 0, ORIGIN[0], 0, -CELL, ORIGIN[1])
    return [shapely.geometry.shape(shape) for shape, value in shapes(mask, mask == 1, transform=place) if value]


@pytest.fixture
def tree(tmp_path):
    mask = udm2(512)
    if REAL_UDM2.exists():
        with rasterio.open(REAL_UDM2) as file:
            mask = file.read()[:, 400:912, 400:912]
    labels = []
    for image_id, name in SCENES.items():
        planet_scene(tmp_path / "data" / "i" / image_id, pixels=sample_pixels(name), mask=mask)
        labels += [(image_id, polygon) for polygon in clouds(name)]
    label_repository(tmp_path / "labels", labels, [(image_id, box(0, 0, 512, 512)) for image_id in SCENES])
    elevation(tmp_path / "dem.tif")
    trends(tmp_path / "tc.tif")
    write_polygons(tmp_path / "regions.gpkg", [box(-9, -9, 999, 999)], name=["Delta"])
    return tmp_path


def test_clouds_are_learnt(tree, monkeypatch, capsys):
    monkeypatch.chdir(tree)
    cut = ["--patch-size", "64", "--overlap", "0", "--no-exclude-nan", "--mask-erosion-size", "2", "--bands", BANDS]
    sources = ["--data-dir", "data", "--labels-dir", "labels", "--arcticdem-dir", "dem.tif", "--tcvis-dir", "tc.tif"]
    assert main(["preprocess-planet-train-data", *sources, "--admin-dir", "regions.gpkg", *cut,
                 "--train-data-dir", "set"]) == 0  # fmt: skip
    assert main(["validate-train-data", "--train-data-dir", "set"]) == 0
    network = ["--model-arch", "Linknet", "--model-encoder", "tu-lcnet_035", "--device", "cpu"]
    learn = ["--max-epochs", "5", "--batch-size", "8", "--learning-rate", "0.01", "--check-val-every-n-epoch", "5",
             "--plot-every-n-val-epochs", "0", "--fold-method", "stratified", "--run-name", "clouds"]  # fmt: skip
    assert main(["train-smp", "--train-data-dir", "set", *network, *learn]) == 0
    (record,) = (tree / "artifacts" / "_runs").glob("clouds-*/run.json")
    best = json.loads(record.read_text())["best_metrics"]
    assert best["val/JaccardIndex"] > 0.4  # everything is cloud: 0.2 to 0.35
    capsys.readouterr()
