"""Blending while streaming: what a pixel-wise network says must come out as it is, whatever the windows."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.features.stack import FeatureStack
from darts_train.inference.models import MapModel, activation
from darts_train.inference.windows.streaming import Mapper, Preview, read_area
from darts_train.models.input_spec import InputSpecification
from darts_train.raster.band import NODATA, Band
from darts_train.raster.encoding import encode
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window

BANDS = (Band("red", 1e-4, 0.0, 0.0, 1.0), Band("nir", 1e-4, 0.0, 0.0, 1.0))


@dataclass(frozen=True)
class ArrayScene:
    """A scene in memory."""

    values: np.ndarray
    invalid: np.ndarray | None = None
    scene_id: str = "array"
    source: str = "array"
    region: str = "No Region"
    group: None = None
    date: None = None
    sun: None = None
    bands: dict[str, Band] = field(default_factory=lambda: {band.name: band for band in BANDS})

    @property
    def grid(self) -> Grid:
        return Grid(self.values.shape[2], self.values.shape[1])

    def read(self, names, window):
        found = np.full((len(names), window.height, window.width), np.nan, np.float32)
        inside = window.intersection(self.grid.extent)
        rows, columns = inside.slices(self.grid.extent)
        positions = [list(self.bands).index(name) for name in names]
        found[(slice(None), *inside.slices(window))] = self.values[positions, rows, columns]
        return found

    def quality(self, window):
        found = np.zeros((window.height, window.width), np.uint8)
        inside = window.intersection(self.grid.extent)
        here = 2 if self.invalid is None else np.where(self.invalid[inside.slices(self.grid.extent)], 0, 2)
        found[inside.slices(window)] = here
        return found


class Pixelwise:
    """Logits that depend on their own pixel alone: three classes."""

    def logits(self, codes):
        values = np.where(codes == NODATA, 0, codes).astype(np.float32) / 1e4
        return np.stack([values[:, 0], values[:, 1], values[:, 0] - values[:, 1]], axis=1)


class Sum:
    def logits(self, codes):
        return (codes.astype(np.float32).sum(axis=1, keepdims=True) - 9000) / 3000


def mapper(backend, classes, size, overlap, batch) -> Mapper:
    spec = InputSpecification(BANDS, 0.0)
    model = MapModel(None, backend, spec, classes, 0.5, size, {})
    return Mapper(model, FeatureStack(spec.names), size, overlap, batch)


def whole(found, scene) -> tuple[np.ndarray, np.ndarray]:
    parts = list(found.run(scene, Preview.of(scene.grid)))
    assert [part.y for part in parts] == list(np.cumsum([0] + [part.valid.shape[0] for part in parts])[:-1])
    return np.concatenate([p.probabilities for p in parts], axis=1), np.concatenate([p.valid for p in parts])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(2, 24),
    st.integers(0, 23),
    st.integers(1, 5),
    st.integers(0, 99),
)
def test_a_pixelwise_network_comes_out_as_in_a_single_pass(width, height, size, overlap, batch, seed):
    overlap = min(overlap, size - 1)
    scene = ArrayScene(np.random.default_rng(seed).uniform(0, 1, (2, height, width)).astype(np.float32))
    codes, _ = encode(scene.values, BANDS)
    expected = activation(Pixelwise().logits(codes[None]))[0]
    found, valid = whole(mapper(Pixelwise(), ("a", "b", "c"), size, overlap, batch), scene)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert valid.all()


def test_no_data_and_invalid_quality_are_not_mapped():
    values = np.full((2, 40, 50), 0.3, np.float32)
    values[1, 5, 7] = np.nan
    invalid = np.zeros((40, 50), bool)
    invalid[20:, 30:] = True
    _, valid = whole(mapper(Sum(), ("a", "b"), 16, 4, 3), ArrayScene(values, invalid))
    expected = ~invalid
    expected[5, 7] = False
    np.testing.assert_array_equal(valid, expected)


def test_the_network_sees_no_data_where_the_quality_is_invalid():
    values = np.full((2, 8, 8), 0.3, np.float32)
    invalid = np.zeros((8, 8), bool)
    invalid[2, 3] = True
    read, known = read_area(ArrayScene(values, invalid), FeatureStack(("red", "nir")), Window(0, 0, 8, 8))
    assert np.isnan(read[:, 2, 3]).all()
    assert known.sum() == 63


def test_preview_keeps_every_nth_pixel(monkeypatch):
    monkeypatch.setattr("darts_train.inference.windows.reading.PREVIEW_PIXELS", 10)
    scene = ArrayScene(np.random.default_rng(0).uniform(0, 1, (2, 33, 47)).astype(np.float32))
    preview = Preview.of(scene.grid)
    list(mapper(Sum(), ("a", "b"), 16, 5, 2).run(scene, preview))
    assert preview.step == 5
    np.testing.assert_array_equal(preview.values, scene.values[[0, 1, 1], ::5, ::5])
    assert preview.clipped == 0


def test_values_beyond_the_encoding_are_counted():
    scene = ArrayScene(np.full((2, 16, 16), 900.0, np.float32))
    preview = Preview.of(scene.grid)
    list(mapper(Sum(), ("a", "b"), 16, 0, 1).run(scene, preview))
    assert preview.clipped == preview.pixels == 512


@pytest.mark.parametrize("channels", [1, 4])
def test_activation_is_that_of_torch_and_does_not_overflow(channels):
    logits = np.random.default_rng(0).normal(0, 40, (2, channels, 5, 5)).astype(np.float32)
    logits[0, 0, 0, 0] = -200
    tensor = torch.from_numpy(logits)
    expected = tensor.sigmoid() if channels == 1 else tensor.softmax(dim=1)
    with np.errstate(over="raise"):
        np.testing.assert_allclose(activation(logits), expected.numpy(), rtol=1e-5, atol=1e-7)


def test_decisions_are_above_the_threshold_or_the_greatest():
    binary = mapper(Sum(), ("a", "b"), 16, 0, 1).model
    chances = np.array([[[0.2, 0.5, 0.50001, 0.9]]], np.float32)
    assert binary.decide(chances).tolist() == [[0, 0, 1, 1]]
    assert binary.decide(chances, 0.8).tolist() == [[0, 0, 0, 1]]
    several = mapper(Pixelwise(), ("a", "b", "c"), 16, 0, 1).model
    assert several.decide(np.array([[0.1, 0.5], [0.2, 0.3], [0.7, 0.2]])).tolist() == [2, 0]
