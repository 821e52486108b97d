"""Strips, windows and blending: a map does not depend on how the scene was cut."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from darts_train.features.stack import FeatureStack
from darts_train.inference.models import activation
from darts_train.inference.windows.streaming import Mapper, Preview
from darts_train.options.preprocessing import Patches
from darts_train.preprocess.patching import Recipe, Sample, cut_tile
from darts_train.raster.encoding import encode
from darts_train.raster.patches import Window, patch_windows
from darts_train.scenes.labels import PolygonLabels
from darts_train.scenes.raster_scene import RasterScene

from .scenes import BANDS, point_model, specification, write_scene


@pytest.fixture(scope="module")
def scene_path(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scene") / "scene.tif")


def open_scene(path):
    return RasterScene.open(path, scale=1e-4)


def mapped(scene, model, size, overlap, batch=4):
    """Probabilities [k, h, w] and valid [h, w] of a whole scene, put together from the strips."""
    mapper = Mapper(model, FeatureStack(BANDS), size, overlap, batch)
    strips = list(mapper.run(scene, Preview.of(scene.grid)))
    assert [strip.y for strip in strips] == list(np.cumsum([0, *(strip.valid.shape[0] for strip in strips[:-1])]))
    assert all(strip.probabilities.shape[1] <= size for strip in strips)
    return np.concatenate([s.probabilities for s in strips], axis=1), np.concatenate([s.valid for s in strips])


def in_one_pass(scene, model):
    """The same without windows."""
    whole = Window(0, 0, scene.grid.width, scene.grid.height)
    values = FeatureStack(BANDS).compute(scene, whole)
    values[:, scene.quality(whole) == 0] = np.nan
    codes, _ = encode(values, model.spec.bands)
    return model.probabilities(codes[None])[0]


@pytest.mark.parametrize("classes", [("background", "slump"), ("land", "water", "snow")])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_blending_a_network_that_sees_one_pixel_changes_nothing(scene_path, classes, data):
    size = data.draw(st.integers(24, 200))
    overlap, batch = data.draw(st.integers(0, min(size - 1, size // 2 + 3))), data.draw(st.integers(1, 5))
    scene, model = open_scene(scene_path), point_model(classes)
    found, valid = mapped(scene, model, size, overlap, batch)
    expected = in_one_pass(scene, model)
    assert found.shape == expected.shape
    assert np.abs(found - expected)[:, valid].max() < 1e-6
    assert not valid[:20, :30].any()
    assert valid[20:].all()
    assert valid[:, 30:].all()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (10, 70), (70, 10), (32, 32), (33, 95)])
def test_scenes_of_any_size(tmp_path, height, width):
    scene = open_scene(write_scene(tmp_path / "s.tif", height, width, hole=False))
    model = point_model()
    found, valid = mapped(scene, model, 32, 8)
    assert found.shape == (1, height, width)
    assert valid.all()
    assert np.abs(found - in_one_pass(scene, model)).max() < 1e-6


@pytest.mark.parametrize("overlap", [0, 8])
def test_the_network_sees_what_it_saw_in_training(scene_path, overlap):
    """The codes of a map's windows are those that preprocessing would store for the same patches, bit for bit."""
    scene, spec, size = open_scene(scene_path), specification(), 32
    model = point_model()
    mapped(scene, model, size, overlap, batch=1)
    windows = patch_windows(scene.grid.width, scene.grid.height, size, overlap)
    labels = PolygonLabels(scene.grid, np.array([], object), np.array([], np.int64))
    patches = Patches(patch_size=size, overlap=overlap, exclude_nan=False, min_valid_fraction=0)
    recipe = Recipe(FeatureStack(BANDS), spec.bands, patches, 0)
    tile = cut_tile(Sample(scene, labels, "scene.tif"), windows, recipe)
    stored = dict(zip(tile.kept.tolist(), tile.x, strict=True))
    assert len(stored) > 10
    for number, codes in enumerate(model.backend.seen):
        if number in stored:
            assert np.array_equal(codes[0], stored[number])


def test_activations():
    logits = np.array([-200, -1, 0, 1, 200], np.float32).reshape(1, 1, 1, 5)
    assert activation(logits).ravel() == pytest.approx([0, 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1])
    several = activation(np.random.default_rng(0).normal(0, 100, (2, 4, 3, 3)).astype(np.float32))
    assert several.dtype == np.float32
    assert several.sum(axis=1) == pytest.approx(np.ones((2, 3, 3)), abs=1e-6)
