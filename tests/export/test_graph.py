"""A graph that normalises, pads and activates itself says what the network says of the same codes."""

import json
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from darts_train.base.errors import UserError
from darts_train.export.graphs.graph import Graph, graph_of
from darts_train.export.graphs.onnx import runner, set_metadata
from darts_train.export.graphs.onnx_graph import surround
from darts_train.inference.backends.onnx_runtime import OnnxBackend
from darts_train.inference.models import _open_onnx, activation
from darts_train.models.fit import TILE, Fit
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.models.model_file import LoadedModel
from darts_train.options.exporting import Export
from darts_train.raster.band import NODATA
from darts_train.raster.catalogue import CATALOGUE

STEP, LEAST = 4, 8


class Strict(nn.Module):
    """A convolution that refuses sides that are no multiple of STEP, or below LEAST."""

    def __init__(self, bands, channels):
        super().__init__()
        torch.manual_seed(0)
        self.look = nn.Conv2d(bands, channels, 3, padding=1)

    def forward(self, x):
        if any(side % STEP or side < LEAST for side in x.shape[-2:]):
            raise RuntimeError(f"not a multiple: {tuple(x.shape)}")
        return self.look(x)


def model(normalisation="range", classes=2, fill=-1.0, fit=TILE):
    bands = [CATALOGUE["red"], CATALOGUE["slope"]]
    spec = InputSpecification(tuple(bands), fill, normalisation)
    names = ("background", *"abcdefg")[:classes]
    network = Strict(2, 1 if classes == 2 else classes).eval()
    config = {"model": {"arch": "FCN", "encoder_name": "dilated", "in_channels": 2, "classes": 1}}
    return LoadedModel(network, spec, names, 0.4, 16, {}, config, fit)


def convolution(network):
    """The same convolution in ONNX, of any size."""
    weights = [onnx.numpy_helper.from_array(p.detach().numpy(), name) for name, p in network.look.named_parameters()]
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", channels, "height", "width"])
        for name, channels in (("image", 2), ("logits", network.look.out_channels))
    ]
    node = onnx.helper.make_node("Conv", ["image", "weight", "bias"], ["logits"], pads=[1, 1, 1, 1])
    graph = onnx.helper.make_graph([node], "g", ends[:1], ends[1:], weights)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)


def codes_of(shape, seed=0):
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, 9001, shape, dtype=np.uint16)
    codes[generator.random(shape) < 0.1] = NODATA
    return codes


@pytest.mark.parametrize("normalisation", ["range", "zscore", "sample-minmax", "sample-quantile"])
@pytest.mark.parametrize("kind", ["normalised", "values", "codes"])
@pytest.mark.parametrize(("padded", "activated", "classes"), [(True, False, 2), (True, True, 3), (False, True, 2)])
def test_the_runtime_agrees_with_torch(normalisation, kind, padded, activated, classes):
    loaded = model(normalisation, classes)
    graph = Graph(loaded, kind, *((STEP, LEAST) if padded else (0, 0)), activated)
    proto = convolution(loaded.network)
    surround(proto, graph)
    shapes = [(1, 5, 7), (2, 13, 30), (3, 1, 1)] if padded else [(2, 8, 12)]
    assert graph.difference(runner(proto), shapes) < 1e-5


@pytest.mark.parametrize("normalisation", ["range", "zscore", "sample-minmax", "sample-quantile"])
def test_codes_are_normalised_as_in_training(normalisation):
    """Against the input layer itself, patches with no data among them, and one that has nothing else."""
    loaded = model(normalisation)
    codes = codes_of((3, 2, 8, 12))
    codes[2, 1] = NODATA
    with torch.no_grad():
        expected = loaded.network(InputLayer(loaded.spec)(torch.from_numpy(codes.view(np.int16)))).numpy()
    for kind, tolerance in (("codes", 1e-6), ("values", 1e-4)):
        proto = convolution(loaded.network)
        surround(proto, Graph(loaded, kind))
        session = onnxruntime.InferenceSession(proto.SerializeToString())
        found = OnnxBackend(session, loaded.spec, TILE, kind).logits(codes)
        assert np.abs(found - expected).max() < tolerance
    marked = codes.astype(np.float32)
    marked[codes == NODATA] = np.nan  # what other programs hand over
    run = runner(proto_of(loaded, "codes"))
    assert np.array_equal(run(marked), run(codes.astype(np.float32)))


def proto_of(loaded, kind):
    proto = convolution(loaded.network)
    surround(proto, Graph(loaded, kind))
    return proto


@given(height=st.integers(1, 40), width=st.integers(1, 40), classes=st.sampled_from([2, 3]))
@settings(max_examples=25, deadline=None)
def test_any_size_is_padded_as_in_training(height, width, classes):
    """What comes out is the crop of the image that `Fit` pads, whatever the size."""
    loaded = model(classes=classes)
    fit = Fit("pad", STEP, 16, loaded.spec.nodata_fill)
    x = torch.rand(1, 2, height, width)
    found = Graph(loaded, step=STEP, least=STEP).whole
    if max(height, width) <= STEP or min(fit.side(height), fit.side(width)) < LEAST:
        found = Graph(loaded, step=STEP, least=LEAST).whole
        with torch.no_grad():
            assert found(x).shape[-2:] == (height, width)
        return
    with torch.no_grad():
        expected = fit.logits(loaded.network(fit.image(x)), height, width)
        assert torch.equal(found(x), expected)


@pytest.mark.parametrize("classes", [2, 4])
def test_probabilities_become_the_logits_that_maps_are_made_of(classes):
    loaded = model(classes=classes)
    codes = codes_of((2, 2, 7, 9))
    outputs = []
    for activated in (False, True):
        proto = convolution(loaded.network)
        surround(proto, Graph(loaded, "codes", STEP, LEAST, activated))
        session = onnxruntime.InferenceSession(proto.SerializeToString())
        outputs.append(activation(OnnxBackend(session, loaded.spec, TILE, "codes", activated).logits(codes)))
    assert np.abs(outputs[0] - outputs[1]).max() < 1e-6
    certain = OnnxBackend(Certain(), loaded.spec, TILE, "codes", activated=True).logits(codes[:, :1])
    assert np.isfinite(activation(certain)).all()


class Certain:
    """A session whose probabilities are 0 and 1."""

    def get_inputs(self):
        return [SimpleNamespace(name="image")]

    def run(self, _, feed):
        image = next(iter(feed.values()))
        return [(image > 4000).astype(np.float32)]


def test_patches_that_were_padded_in_training_are_so_beside_the_graph():
    """A graph that normalises but does not pad gets patches with rows and columns of no data."""
    fit = Fit("pad", STEP, 6, -1.0)
    loaded = model(fit=fit)
    codes = codes_of((2, 2, 9, 10))
    x = torch.from_numpy(loaded.spec.normalise(codes))
    with torch.no_grad():
        expected = fit.logits(loaded.network(fit.image(x)), 9, 10).numpy()
    for kind in ("values", "codes"):
        session = onnxruntime.InferenceSession(proto_of(loaded, kind).SerializeToString())
        assert np.abs(OnnxBackend(session, loaded.spec, fit, kind).logits(codes) - expected).max() < 1e-4


def test_any_window_fits_a_graph_that_pads(tmp_path):
    loaded = model()
    for padded in (True, False):
        graph = Graph(loaded, "codes", *((STEP, LEAST) if padded else (0, 0)))
        proto = convolution(loaded.network)
        surround(proto, graph)
        facts = {"classes": list(loaded.classes), "threshold": 0.4, "patch_size": 16, "stride": 4, "free_sizes": True}
        set_metadata(proto, {**loaded.spec.to_config(), **facts, **graph.facts()})
        path = tmp_path / "m.onnx"
        path.write_bytes(proto.SerializeToString())
        if padded:
            opened, size = _open_onnx(path, 37, "cpu")
            assert (size, opened.stride) == (37, 1)
            assert _open_onnx(path, 40, "cpu")[0].stride == 4  # windows start where those of the model file do
            assert opened.probabilities(codes_of((1, 2, 37, 37))).shape == (1, 1, 37, 37)
        else:
            with pytest.raises(UserError, match="multiples of 4"):
                _open_onnx(path, 37, "cpu")


def test_a_graph_says_what_it_does():
    plain = Graph(model()).facts()
    assert plain == {"graph_input": "normalised", "graph_padding": False, "graph_activation": False}
    whole = Graph(model(fit=Fit("pad", 8, 6, 0.0)), "codes", 8, 8, True).facts()
    assert json.loads(json.dumps(whole)) == {
        "graph_input": "codes", "graph_padding": True, "graph_activation": True, "activation": "none", "fit": "tile",
    }  # fmt: skip


def test_what_does_not_go_together(tmp_path):
    wanted = {"model": tmp_path, "out": tmp_path / "m.onnx"}
    resized = model(fit=Fit("resize", 32, 16, 0.0))
    for kind in ("values", "codes"):
        with pytest.raises(UserError, match="resamples"):
            graph_of(resized, Export(**wanted, graph_input=kind))
    bare = model()
    bands = tuple(type(band)(band.name, 1.0, 0.0, 0.0, 1.0) for band in bare.spec.bands)
    unitless = LoadedModel(**{**bare.__dict__, "spec": InputSpecification(bands)})
    with pytest.raises(UserError, match="no codes"):
        graph_of(unitless, Export(**wanted, graph_input="codes"))
    assert graph_of(unitless, Export(**wanted, graph_input="values")).input == "values"
