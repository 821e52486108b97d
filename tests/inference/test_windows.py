"""From windows to a map: exact where windows agree, no seams where they see enough, mirrored where the scene ends."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from darts_train.features.stack import FeatureStack
from darts_train.inference.backends.torch_network import TorchBackend
from darts_train.inference.models import MapModel
from darts_train.inference.windows.reach import measured_reach, usual_overlap
from darts_train.inference.windows.streaming import Mapper, Preview
from darts_train.inference.windows.symmetries import MERGES, SETS
from darts_train.models.full_resolution import FullResolutionNetwork
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.raster.blending import CURVES
from darts_train.raster.encoding import encode

from .test_streaming import BANDS, ArrayScene, Pixelwise

SPEC = InputSpecification(BANDS, 0.0)


class Constant:
    """A network that says the same of every pixel; remembers what it was shown."""

    def __init__(self, *logits: float) -> None:
        self.said = np.array(logits, np.float32)
        self.seen: list[np.ndarray] = []

    def logits(self, codes):
        self.seen.append(codes)
        return np.broadcast_to(self.said[None, :, None, None], (len(codes), len(self.said), *codes.shape[2:])).copy()


def model_of(backend, classes=("a", "b"), stride=1) -> MapModel:
    return MapModel(Path("none"), backend, SPEC, classes, 0.5, 32, {}, stride)


def mapped(mapper, scene, first=0):
    """Probabilities [k, h, w] and valid [h, w] from a row on."""
    parts = list(mapper.run(scene, Preview.of(scene.grid), first))
    assert [part.y for part in parts] == list(np.cumsum([first] + [part.valid.shape[0] for part in parts])[:-1])
    return np.concatenate([p.probabilities for p in parts], axis=1), np.concatenate([p.valid for p in parts])


def noise(height, width, seed=0) -> ArrayScene:
    return ArrayScene(np.random.default_rng(seed).uniform(0, 1, (2, height, width)).astype(np.float32))


def codes_of(scene) -> np.ndarray:
    return encode(scene.values, BANDS)[0]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_constant_is_reproduced_to_the_bit(data):
    """Any size, window, overlap, halo, stride, batch, curve, and number of classes."""
    draw = data.draw
    size = draw(st.integers(6, 40))
    overlap = draw(st.integers(0, size * 3 // 4))
    logits = draw(st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=3))
    classes = ("a", "b", "c")[: max(2, len(logits))]
    model = model_of(
        Constant(*(logits if len(logits) != 2 else logits[:1])), classes, draw(st.sampled_from([1, 4, 32]))
    )
    mapper = Mapper(
        model, FeatureStack(SPEC.names), size, overlap, draw(st.integers(1, 5)), draw(st.integers(0, overlap // 2)),
        draw(st.sampled_from(sorted(CURVES))), readers=draw(st.integers(1, 3)),
    )  # fmt: skip
    scene = noise(draw(st.integers(1, 60)), draw(st.integers(1, 60)))
    said = model.probabilities(np.zeros((1, 2, 1, 1), np.uint16))[0]
    found, valid = mapped(mapper, scene)
    assert (found == said).all()
    assert valid.all()


@pytest.mark.parametrize("tta", sorted(SETS))
@pytest.mark.parametrize("merge", MERGES)
def test_a_constant_is_reproduced_with_augmentation(tta, merge):
    model = model_of(Constant(0.37))
    mapper = Mapper(model, FeatureStack(SPEC.names), 16, 8, 3, 2, "hann", tta, merge)
    found, _ = mapped(mapper, noise(40, 50))
    assert (found == model.probabilities(np.zeros((1, 2, 1, 1), np.uint16))[0]).all()


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(8, 24), st.integers(0, 16), st.sampled_from([1, 4]))
def test_batches_and_readers_change_no_bit(height, width, size, overlap, stride):
    scene, model = noise(height, width), model_of(Pixelwise(), ("a", "b", "c"), stride)
    overlap = min(overlap, size * 2 // 3)
    maps = [
        mapped(Mapper(model, FeatureStack(SPEC.names), size, overlap, batch, overlap // 4, readers=readers), scene)[0]
        for batch, readers in ((1, 1), (5, 3))
    ]
    assert np.array_equal(*maps)


@pytest.mark.parametrize(("height", "width"), [(100, 90), (33, 70), (20, 9), (1, 50)])
def test_windows_beyond_the_scene_see_its_mirror_image(height, width):
    scene, backend = noise(height, width), Constant(0.0)
    mapper = Mapper(model_of(backend, stride=4), FeatureStack(SPEC.names), 32, 16, 1, 6)
    mapped(mapper, scene)
    padded = np.pad(codes_of(scene), ((0, 0), (64, 64), (64, 64)), mode="reflect")
    starts = [(y, x) for y in mapper.cut.starts(height) for x in mapper.cut.starts(width)]
    assert len(starts) == len(backend.seen) == mapper.window_count(scene)
    if height > 32:
        assert starts[0][0] == -8
    for (y, x), seen in zip(starts, backend.seen, strict=True):
        np.testing.assert_array_equal(seen[0], padded[:, y + 64 : y + 96, x + 64 : x + 96])


def test_no_data_stays_and_windows_without_data_are_not_run():
    scene, backend = noise(96, 96), Constant(1.0)
    scene.values[:, :64, :64] = np.nan
    scene.values[0, 80, 90] = np.nan
    mapper = Mapper(model_of(backend), FeatureStack(SPEC.names), 32, 0, 4)
    found, valid = mapped(mapper, scene)
    assert sum(map(len, backend.seen)) == 5
    np.testing.assert_array_equal(valid, ~np.isnan(scene.values).any(axis=0))
    assert (found[:, valid] == found[0, -1, -1]).all()
    assert np.isfinite(found).all()


@pytest.mark.parametrize("first", [0, 1, 19, 20, 47, 69])
def test_a_map_goes_on_from_any_row(first):
    scene = noise(70, 40)
    mapper = Mapper(model_of(Pixelwise(), ("a", "b", "c")), FeatureStack(SPEC.names), 32, 12, 2, 3, "hann")
    whole, rest = mapped(mapper, scene), mapped(mapper, scene, first)
    assert np.array_equal(rest[0], whole[0][:, first:])
    assert np.array_equal(rest[1], whole[1][first:])


def test_rows_come_as_they_are_finished_and_are_not_taken_back(monkeypatch):
    monkeypatch.setattr("darts_train.inference.windows.streaming.ROWS_VALUES", 400)
    scene = noise(70, 40)
    mapper = Mapper(model_of(Pixelwise(), ("a", "b", "c")), FeatureStack(SPEC.names), 16, 4, 2)
    parts = []
    for part in mapper.run(scene, Preview.of(scene.grid)):
        assert part.probabilities.size <= 400
        parts.append((part, part.probabilities.copy()))
    assert len(parts) == mapper.row_count(scene)
    assert all(np.array_equal(part.probabilities, kept) for part, kept in parts)


def test_a_map_that_is_left_leaves_no_thread():
    import threading

    mapper = Mapper(model_of(Pixelwise(), ("a", "b", "c")), FeatureStack(SPEC.names), 16, 4, 2)
    scene = noise(200, 40)
    rows = mapper.run(scene, Preview.of(scene.grid))
    next(rows)
    rows.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


@pytest.fixture(scope="module")
def full_resolution() -> MapModel:
    """An FCN of random weights whose probabilities are anywhere between 0 and 1."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = FullResolutionNetwork(2, 1, encoder_channels=8).eval()
    with torch.no_grad():
        network.segmentation_head.bias.zero_()
        logits = network(torch.rand(1, 2, 64, 64))[..., 7:-7, 7:-7]
        network.segmentation_head.weight *= 2 / logits.std()
        network.segmentation_head.bias.fill_(float(-2 * logits.mean() / logits.std()))
    return model_of(TorchBackend(network, InputLayer(SPEC), torch.device("cpu")))


def test_the_reach_of_an_fcn_is_measured(full_resolution):
    """Three blocks look at the 15 x 15 pixels around one: 7 to each side."""
    assert measured_reach(full_resolution.exact_logits, BANDS, 64) == 7
    assert usual_overlap(7, 64) == (18, 7)


@pytest.mark.parametrize("blend", sorted(CURVES))
def test_no_seams_where_windows_see_as_far_as_the_network(full_resolution, blend):
    scene, reach = noise(110, 150), 7
    single = full_resolution.probabilities(codes_of(scene)[None])[0]
    assert single.std() > 0.2
    inside = (slice(None), slice(reach, -reach), slice(reach, -reach))
    overlap, halo = usual_overlap(reach, 48)
    found, _ = mapped(Mapper(full_resolution, FeatureStack(SPEC.names), 48, overlap, 4, halo, blend), scene)
    assert np.abs(found - single)[inside].max() < 1e-5
    without, _ = mapped(Mapper(full_resolution, FeatureStack(SPEC.names), 48, 0, 4), scene)
    assert np.abs(without - single)[inside].max() > 0.05  # else there was nothing to show


class Pooled(nn.Module):
    """Looks at squares of 8 pixels, whose grid begins at the window's first."""

    def forward(self, x):
        pooled = nn.functional.max_pool2d(x.sum(1, keepdim=True), 8)
        return 8 * (nn.functional.interpolate(pooled, scale_factor=8.0) - 1.7)


def test_windows_on_the_stride_see_what_one_pass_sees():
    backend = TorchBackend(Pooled(), InputLayer(SPEC), torch.device("cpu"))
    scene = noise(104, 152)
    maps = {}
    for stride in (1, 8):
        model = model_of(backend, stride=stride)
        single = model.probabilities(codes_of(scene)[None])[0]
        maps[stride], _ = mapped(Mapper(model, FeatureStack(SPEC.names), 48, 13, 4, 3), scene)
    assert np.abs(maps[8] - single).max() < 1e-6
    assert np.abs(maps[1] - single).max() > 0.1


def test_a_network_that_sees_all_of_a_window_reaches_a_quarter():
    class Whole(nn.Module):
        def forward(self, x):
            return x.sum(1, keepdim=True) * x.mean((1, 2, 3), keepdim=True) * 5

    backend = TorchBackend(Whole(), InputLayer(SPEC), torch.device("cpu"))
    assert measured_reach(backend.logits, BANDS, 64, 8) == 16
    assert usual_overlap(16, 64) == (32, 12)
    assert measured_reach(Pixelwise().logits, BANDS, 64) == 0
    assert measured_reach(Constant(0.0).logits, BANDS, 64) == 0
    assert usual_overlap(0, 64) == (0, 0)
