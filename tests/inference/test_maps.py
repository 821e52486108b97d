"""The command predict, from files to files."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import torch
from scipy import ndimage

from darts_train.base.errors import UserError
from darts_train.inference import scene_maps as predict_module
from tests.support.predicting import predicted

from .scenes import write_model, write_scene

SIZE = 70, 90  # of a scene, more than a window
FILES = {"probabilities.tif", "classes.tif", "segments.gpkg", "quicklook.png", "map.json"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.set_num_threads(1)
    return write_model(tmp_path_factory.mktemp("model") / "model.ckpt")


def run(model, out, *scenes, **options):
    """Maps; where a test is not about it, no time goes into how far the network looks."""
    return predicted(model=model, input=tuple(scenes), out_dir=out, device="cpu", **{"window_overlap": 16} | options)


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(), dataset.profile


def test_a_map(tmp_path, model):
    scene = write_scene(tmp_path / "scene.tif", *SIZE)
    found = run(model, tmp_path / "maps", scene).maps[0]
    assert found.directory == tmp_path / "maps" / "scene"
    assert {path.name for path in found.directory.iterdir()} == FILES
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["scene"]
    with rasterio.open(scene) as dataset:
        grid = (dataset.crs, dataset.transform, dataset.width, dataset.height)
    for path in (found.probabilities, found.classes):
        values, profile = read(path)
        assert (profile["crs"], profile["transform"], profile["width"], profile["height"]) == grid
        assert (profile["dtype"], profile["nodata"], profile["count"]) == ("uint8", 255, 1)
        assert (values[0, :20, :30] == 255).all()
        assert (values[0] == 255).sum() == 20 * 30
    probabilities, classes = read(found.probabilities)[0][0], read(found.classes)[0][0]
    assert len(np.unique(probabilities)) > 20
    assert (classes[probabilities > 51] != 0).all()
    assert (classes[probabilities < 49] == 0).all()
    assert found.quicklook.read_bytes().startswith(b"\x89PNG")
    assert found.megapixels == pytest.approx(0.0063)


def test_polygons_are_those_of_the_map(tmp_path, model):
    found = run(model, tmp_path, write_scene(tmp_path / "scene.tif", *SIZE)).maps[0]
    classes, probabilities = read(found.classes)[0][0], read(found.probabilities)[0][0]
    labels, count = ndimage.label(classes == 1, structure=np.ones((3, 3)))
    frame = gpd.read_file(found.segments)
    assert len(frame) == count == found.polygons
    assert frame.crs.to_epsg() == 32608
    assert frame.geometry.is_valid.all()
    assert frame["class"].unique().tolist() == ["slump"]
    assert sorted(frame["pixels"]) == sorted(np.bincount(labels.ravel())[1:])
    assert frame.area.to_numpy() == pytest.approx(frame["pixels"].to_numpy() * 9.0)
    assert frame["area_m2"].to_numpy() == pytest.approx(frame["pixels"].to_numpy() * 9.0, rel=2e-3)
    largest = frame.loc[frame["pixels"].idxmax()]
    chances = probabilities[labels == np.bincount(labels.ravel())[1:].argmax() + 1] / 100
    assert largest["mean_probability"] == pytest.approx(chances.mean())
    assert largest["max_probability"] == pytest.approx(chances.max())


def test_small_objects_can_be_left_out(tmp_path, model):
    scene = write_scene(tmp_path / "scene.tif", *SIZE)
    every = gpd.read_file(run(model, tmp_path / "all", scene).maps[0].segments)
    some = gpd.read_file(run(model, tmp_path / "some", scene, min_object_size=40).maps[0].segments)
    assert len(some) == (every["pixels"] >= 40).sum() < len(every)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857"])
def test_areas_are_those_on_the_ground(tmp_path, model, crs):
    """A scene in degrees, and one in the web's Mercator, whose metres are not metres."""
    scene = write_scene(tmp_path / "scene.tif", 64, 64, crs)
    frame = gpd.read_file(run(model, tmp_path / "maps", scene).maps[0].segments)
    ground = frame.to_crs("EPSG:6933").area  # cylindrical equal-area
    assert frame["area_m2"].to_numpy() == pytest.approx(ground.to_numpy(), rel=5e-3)


def test_nothing_found_is_an_empty_layer(tmp_path, model):
    found = run(model, tmp_path, write_scene(tmp_path / "scene.tif", *SIZE), threshold=1.0).maps[0]
    frame = gpd.read_file(found.segments)
    assert len(frame) == found.polygons == 0
    assert frame.crs.to_epsg() == 32608
    assert {"class", "area_m2", "pixels", "mean_probability", "max_probability"} <= set(frame.columns)


def test_a_picture_without_a_place(tmp_path, model):
    found = run(model, tmp_path, write_scene(tmp_path / "scene.tif", *SIZE, crs=None)).maps[0]
    _, profile = read(found.classes)
    assert profile["crs"] is None
    frame = gpd.read_file(found.segments)
    assert frame.crs is None
    assert frame["area_m2"].isna().all()
    assert frame.area.to_numpy() == pytest.approx(frame["pixels"].to_numpy())


def test_several_classes(tmp_path):
    names = ("land", "water", "snow")
    found = run(
        write_model(tmp_path / "m.ckpt", names), tmp_path / "maps", write_scene(tmp_path / "scene.tif", *SIZE)
    ).maps[0]
    probabilities, profile = read(found.probabilities)
    classes = read(found.classes)[0][0]
    assert profile["count"] == 3
    valid = classes != 255
    assert np.abs(probabilities[:, valid].astype(int).sum(axis=0) - 100).max() <= 2
    best = probabilities.max(axis=0)
    assert (np.take_along_axis(probabilities, np.where(valid, classes, 0)[None].astype(int), 0)[0] == best)[valid].all()
    frame = gpd.read_file(found.segments)
    assert set(frame["class"]) <= set(names[1:])
    assert frame["pixels"].sum() == (valid & (classes > 0)).sum()


def test_the_window_does_not_move_the_scene(tmp_path, model):
    """Other windows give other borders but no shift: maps of two window sizes agree on nearly all of the scene."""
    scene = write_scene(tmp_path / "scene.tif", hole=False)
    one = read(run(model, tmp_path / "a", scene, window_size=128, window_overlap=64).maps[0].probabilities)[0]
    other = read(run(model, tmp_path / "b", scene, window_size=160, window_overlap=32).maps[0].probabilities)[0]
    agreed = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    moved = np.corrcoef(one.ravel(), np.roll(other, 1, axis=2).ravel())[0, 1]
    assert agreed > moved


def test_batches_do_not_matter(tmp_path, model):
    scene = write_scene(tmp_path / "scene.tif", *SIZE)
    maps = [read(run(model, tmp_path / str(n), scene, window_batch=n).maps[0].probabilities)[0] for n in (1, 3)]
    assert np.abs(maps[0].astype(int) - maps[1]).max() <= 1


def test_windows_by_threads_of_their_own_give_the_same_map(tmp_path, model, monkeypatch):
    scene = write_scene(tmp_path / "scene.tif", *SIZE)
    monkeypatch.setattr("darts_train.inference.backends.torch_network._WORTH_A_THREAD", 1)
    before, maps = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found = run(model, tmp_path / f"maps{threads}", scene, window_batch=3).maps[0]
            assert torch.get_num_threads() == threads
            maps.append(rasterio.open(found.probabilities).read())
    finally:
        torch.set_num_threads(before)
    assert np.abs(maps[0].astype(int) - maps[1]).max() <= 1


def test_maps_that_are_there_are_kept(tmp_path, model):
    scene = write_scene(tmp_path / "scene.tif", *SIZE)
    found = run(model, tmp_path / "maps", scene).maps[0]
    before = found.classes.read_bytes()
    with pytest.raises(UserError, match=r"\(threshold None there, 0.6 now\); give --overwrite"):
        run(model, tmp_path / "maps", scene, threshold=0.6)
    with pytest.raises(UserError, match=r"\(of another model file\)"):
        run(write_model(tmp_path / "other.ckpt", classes=("land", "slump")), tmp_path / "maps", scene)
    same = run(model, tmp_path / "maps", scene).maps[0]
    assert same.kept
    assert (same.polygons, same.megapixels, same.segments) == (found.polygons, found.megapixels, found.segments)
    assert found.classes.read_bytes() == before
    again = run(model, tmp_path / "maps", scene, overwrite=True).maps[0]
    assert not again.kept
    assert again.classes.read_bytes() == before
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["scene"]


@pytest.mark.parametrize("there", [False, True])
def test_a_failure_leaves_no_trace(tmp_path, model, monkeypatch, there):
    scene = write_scene(tmp_path / "scene.tif", *SIZE)
    before = run(model, tmp_path / "maps", scene).maps[0].classes.read_bytes() if there else None

    def broken(*_, **__):
        raise RuntimeError("broken")

    monkeypatch.setattr(predict_module, "write_segments", broken)
    with pytest.raises(RuntimeError, match="broken"):
        run(model, tmp_path / "maps", scene, overwrite=True)
    left = sorted(path.name for path in (tmp_path / "maps").iterdir())
    assert left == [".scene.unfinished", *["scene"] * there]  # what was computed, for the next call
    if there:
        assert (tmp_path / "maps" / "scene" / "classes.tif").read_bytes() == before


def test_a_dry_run_writes_nothing(tmp_path, model):
    scene = write_scene(tmp_path / "scene.tif", 100, 150)
    summary = run(model, tmp_path / "maps", scene, dry_run=True, window_overlap=None)
    assert summary.maps == ()
    assert summary.planned_windows == 4 * 6  # 64-pixel windows, 32 apart, over 100 x 150 pixels and a halo
    assert "24 windows" in summary.summary()
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"band_names": ("blue", "green", "rde", "nir")}, "red"),
        ({"band_names": ("blue", "green")}, "4 bands"),
        ({"window_size": 50}, "--window-size"),
        ({"window_overlap": 64}, "--window-overlap"),
    ],
)
def test_mistakes_are_told_before_work(tmp_path, model, options, words):
    with pytest.raises(UserError, match=words):
        run(model, tmp_path / "maps", write_scene(tmp_path / "scene.tif", *SIZE), **options)
    assert not (tmp_path / "maps").exists()


def test_wrong_files(tmp_path, model):
    scene = write_scene(tmp_path / "scene.tif", *SIZE)
    (tmp_path / "cut.tif").write_bytes(scene.read_bytes()[:2000])
    (tmp_path / "bad.onnx").write_bytes(b"hello")
    (tmp_path / "other").mkdir()
    other = write_scene(tmp_path / "other" / "scene.tif")
    for path, inputs, words in (
        (model, [tmp_path / "absent.tif"], "absent.tif"),
        (model, [tmp_path / "cut.tif"], "cut.tif"),
        (tmp_path / "bad.onnx", [scene], "bad.onnx"),
        (tmp_path / "absent.ckpt", [scene], "--model"),
        (model, [scene, other], "scene"),
    ):
        with pytest.raises(UserError, match=words):
            run(path, tmp_path / "maps", *inputs)
    assert not (tmp_path / "maps").exists()


def test_units_come_from_training_unless_given(tmp_path, model, caplog):
    """Counts of 1e-4 are assumed, since the model was trained on them; other units are noticed."""
    scene = write_scene(tmp_path / "scene.tif", *SIZE)
    assumed = read(run(model, tmp_path / "a", scene).maps[0].probabilities)[0]
    given = read(run(model, tmp_path / "b", scene, scale=1e-4).maps[0].probabilities)[0]
    assert np.array_equal(assumed, given)
    assert "--scale" not in caplog.text
    run(model, tmp_path / "c", scene, scale=1.0)
    assert "--scale" in caplog.text
