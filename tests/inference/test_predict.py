"""Predicting the bundled scenes: files, places, parity of backends, and what is refused."""

from importlib import resources
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from scipy import ndimage

from darts_train.base.errors import UserError
from darts_train.features.stack import FeatureStack
from darts_train.inference import scene_maps as module
from darts_train.inference.windows.streaming import read_area
from darts_train.raster.band import Band
from darts_train.raster.encoding import encode
from darts_train.raster.patches import Window
from darts_train.scenes.raster_scene import RasterScene
from tests.inference.conftest import BANDS, SIDE, write_model
from tests.support.predicting import predicted

SCENES = Path(str(resources.files("darts_train.quickstart"))) / "scenes"
IMAGE = SCENES / "landsat5_toa6.tif"


def crop(path: Path, size: tuple[int, int], **changes) -> Path:
    """The upper left corner of the bundled scene as a file of its own."""
    with rasterio.open(IMAGE) as source:
        window = rasterio.windows.Window(0, 0, *size)
        profile = source.profile | {"width": size[0], "height": size[1], "tiled": False} | changes
        profile.pop("blockxsize", None), profile.pop("blockysize", None)
        with rasterio.open(path, "w", **profile) as target:
            target.write(source.read(window=window))
            for i, text in enumerate(source.descriptions):
                target.set_band_description(i + 1, text)
    return path


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


def test_a_map_lies_where_its_scene_lies(model_file, tmp_path):
    scene = crop(tmp_path / "scene.tif", (150, 100))
    (found,) = predicted(model=model_file, input=(scene,), out_dir=tmp_path / "maps").maps
    assert found.directory == tmp_path / "maps" / "scene"
    with rasterio.open(scene) as source, rasterio.open(found.classes) as classes:
        assert (classes.crs, classes.transform, classes.shape) == (source.crs, source.transform, source.shape)
        assert classes.nodata == 255
        assert classes.tags()["class_1"] == "cloud"
    chances, decided = read(found.probabilities), read(found.classes)[0]
    assert chances.shape == (1, 100, 150)
    assert chances.max() <= 100
    clear = np.abs(chances[0].astype(int) - 50) > 1  # rounding may move the others across the threshold
    np.testing.assert_array_equal(decided[clear], chances[0][clear] > 50)
    assert found.quicklook.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["scene"]


def test_polygons_are_the_objects_of_the_class_map(model_file, tmp_path):
    scene = crop(tmp_path / "scene.tif", (128, 128))
    (found,) = predicted(model=model_file, input=(scene,), out_dir=tmp_path).maps
    labels, count = ndimage.label(read(found.classes)[0] == 1, structure=np.ones((3, 3)))
    frame = gpd.read_file(found.segments)
    assert len(frame) == count == found.polygons
    assert sorted(frame["pixels"]) == sorted(np.bincount(labels.ravel())[1:])
    np.testing.assert_allclose(frame["area_m2"], frame["pixels"] * 900.0)
    assert frame.crs.to_epsg() == 32615
    assert (frame["mean_probability"] <= frame["max_probability"] + 1e-9).all()
    large = predicted(model=model_file, input=(scene,), out_dir=tmp_path, min_object_size=20, overwrite=True)
    assert large.maps[0].polygons == (frame["pixels"] >= 20).sum()


def test_several_classes_have_a_band_each(five_classes, tmp_path):
    scene = crop(tmp_path / "scene.tif", (96, 96))
    (found,) = predicted(model=five_classes, input=(scene,), out_dir=tmp_path).maps
    chances, decided = read(found.probabilities), read(found.classes)[0]
    assert chances.shape[0] == 5
    assert np.abs(chances.astype(int).sum(axis=0) - 100).max() <= 3
    assert (chances.max(axis=0) - np.take_along_axis(chances, decided[None], 0)[0] <= 1).all()


def test_a_scene_without_place_or_smaller_than_a_window_is_mapped(model_file, tmp_path):
    scene = crop(tmp_path / "photo.tif", (40, 30), crs=None, transform=rasterio.Affine.identity())
    (found,) = predicted(model=model_file, input=(scene,), out_dir=tmp_path).maps
    assert read(found.classes).shape == (1, 30, 40)
    frame = gpd.read_file(found.segments)
    assert frame.crs is None
    assert frame["area_m2"].isna().all()


def test_areas_in_degrees_are_geodesic(model_file, tmp_path):
    degrees = rasterio.Affine(0.001, 0, 10.0, 0, -0.001, 60.0)
    scene = crop(tmp_path / "scene.tif", (64, 64), crs="EPSG:4326", transform=degrees)
    (found,) = predicted(model=model_file, input=(scene,), out_dir=tmp_path).maps
    frame = gpd.read_file(found.segments)
    pixel = 111_300 * 0.001 * 111_300 * 0.001 * np.cos(np.radians(60))
    np.testing.assert_allclose(frame["area_m2"], frame["pixels"] * pixel, rtol=0.02)


def test_a_scene_of_no_data_gives_an_empty_map(model_file, tmp_path, capsys):
    scene = crop(tmp_path / "scene.tif", (64, 64))
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((6, 64, 64), np.uint16))
    (found,) = predicted(model=model_file, input=(scene,), out_dir=tmp_path).maps
    assert (read(found.classes) == 255).all()
    assert (read(found.probabilities) == 255).all()
    assert found.polygons == len(gpd.read_file(found.segments)) == 0


def test_the_network_sees_what_it_saw_in_training(tmp_path):
    from darts_train.dataset.reader import TrainData
    from darts_train.options.preprocessing import Output, Patches, Raster
    from darts_train.preprocess.raster import preprocess_raster_train_data

    raster = Raster(table=SCENES / "table.csv", scale=1e-4, remap="0:0,1:0,2:0,3:0,4:1")
    output, patches = Output(train_data_dir=tmp_path / "set"), Patches(patch_size=128, overlap=0)
    preprocess_raster_train_data(raster=raster, output=output, patches=patches)
    data = TrainData.open(tmp_path / "set")
    scene = RasterScene.open(IMAGE, scale=1e-4)
    stack = FeatureStack([band.name for band in data.bands])
    rows = data.metadata[data.metadata["sample_id"] == IMAGE.stem]
    assert len(rows) == 16
    for i in rows.index[::5]:
        window = Window(int(rows.loc[i, "x"]), int(rows.loc[i, "y"]), 128, 128)
        values, _ = read_area(scene, stack, window)
        codes, _ = encode(values, data.bands)
        np.testing.assert_array_equal(codes, data.read(int(i))[0])


def test_a_dry_run_writes_nothing(model_file, tmp_path):
    plan = predicted(model=model_file, input=(IMAGE,), out_dir=tmp_path / "maps", dry_run=True)
    assert plan.planned_windows == 17 * 17
    assert "289 windows" in plan.summary()
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"window_overlap": SIDE}, "--window-overlap: 64 must be less"),
        ({"device": "cuda:99"}, "--device"),
        ({"input": (IMAGE, IMAGE)}, "both named landsat5_toa6"),
        ({"input": (SCENES / "landsat5_mask.tif",)}, "no band blue"),
        ({"input": (SCENES / "ATTRIBUTION.md",)}, "cannot be read"),
        ({"input": (SCENES,)}, "_mask.tif: no band blue"),
        ({"band_names": ("a", "b")}, "2 names given"),
        ({"model": SCENES / "ATTRIBUTION.md"}, "no model file"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(change, words, model_file, tmp_path):
    settings = {"model": model_file, "input": (IMAGE,), "out_dir": tmp_path / "maps"} | change
    with pytest.raises(UserError) as error:
        predicted(**settings)
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) <= 2
    assert not (tmp_path / "maps").exists()


def test_a_map_that_is_there_is_kept_unless_told_otherwise(model_file, tmp_path):
    scene = crop(tmp_path / "scene.tif", (64, 64))
    options = {"model": model_file, "input": (scene,), "out_dir": tmp_path / "maps"}
    predicted(**options)
    (tmp_path / "maps" / "scene" / "note.txt").write_text("mine")
    with pytest.raises(UserError, match="--overwrite"):
        predicted(**options, min_object_size=2)
    assert predicted(**options).maps[0].kept
    assert (tmp_path / "maps" / "scene" / "note.txt").exists()
    predicted(**options, overwrite=True)
    assert not (tmp_path / "maps" / "scene" / "note.txt").exists()


def test_a_failure_leaves_no_part_of_a_map(model_file, tmp_path, monkeypatch):
    scene = crop(tmp_path / "scene.tif", (64, 64))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_segments", full)
    with pytest.raises(UserError, match="No space left on device"):
        predicted(model=model_file, input=(scene,), out_dir=tmp_path / "maps")
    assert [path.name for path in (tmp_path / "maps").iterdir()] == [".scene.unfinished"]


def test_a_model_of_values_without_units_is_refused(tmp_path):
    plain = tuple(Band(band.name, 1.0, 0.0, 0.0, 1.0) for band in BANDS)
    model = write_model(tmp_path / "old.ckpt", ("background", "positive"), plain)
    with pytest.raises(UserError, match="without units"):
        predicted(model=model, input=(IMAGE,), out_dir=tmp_path / "maps")
