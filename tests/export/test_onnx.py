"""An exported network says what the network says, at every size it claims, and tells how it is fed."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.export.description import weights_hash
from darts_train.export.export import export_model
from darts_train.export.graphs import onnx as onnx_module
from darts_train.export.graphs.comparison import fixed_shapes, free_shapes, largest_difference, sample_image
from darts_train.export.graphs.onnx import ExportError, check_opset, check_size
from darts_train.export.graphs.pools import MatrixPool
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import load_model_file, make_model_config, save_model_file
from darts_train.options.exporting import Export
from darts_train.raster.catalogue import CATALOGUE


def save(path, arch="Linknet", encoder="resnet18", classes=("background", "slump"), options=()):
    torch.manual_seed(0)
    spec = InputSpecification.from_set([CATALOGUE["red"], CATALOGUE["slope"]], "v1", -1.0)
    config = make_model_config(arch, encoder, None, spec, classes, 64, 255, 0.4, {"scale": 1e-4}, options)
    save_model_file(path, config, create_network(arch, encoder, None, 2, len(classes), options).state_dict())
    return path


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    """A network whose sides are multiples of 8: it is exported in half the time of one of 32."""
    return save(tmp_path_factory.mktemp("model") / "model.ckpt", options=(("encoder_depth", 3),))


@pytest.fixture(scope="module")
def exported(model_path):
    torch.set_num_threads(1)
    return export_model(Export(model=model_path, out=model_path.with_suffix(".onnx")))


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("shape", [(1, 64, 64), (2, 32, 96), (3, 128, 64), (1, 160, 32), (1, 8, 40)])
def test_the_runtime_agrees_with_torch(exported, model_path, shape):
    batch, height, width = shape
    image = torch.rand(batch, 2, height, width)
    with torch.no_grad():
        expected = load_model_file(model_path).network(image).numpy()
    found = session(exported.path).run(["logits"], {"image": image.numpy()})[0]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4
    assert exported.max_difference < 1e-4


def test_the_file_says_how_it_is_fed(exported, model_path):
    proto = onnx.load(exported.path)
    onnx.checker.check_model(proto)
    facts = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(facts["bands"]) == ["red", "slope"]
    assert json.loads(facts["ranges"]) == [[0.0, 0.3], [0.0, 90.0]]
    assert json.loads(facts["band_scales"]) == [1e-4, 0.01]
    assert json.loads(facts["classes"]) == ["background", "slump"]
    assert json.loads(facts["source"]) == {"scale": 1e-4}
    numbers = ("threshold", "nodata_fill", "patch_size", "stride")
    assert [json.loads(facts[key]) for key in numbers] == [0.4, -1.0, 64, 8]
    assert facts["weights_hash"] == weights_hash(load_model_file(model_path).network.state_dict())
    assert json.loads(facts["max_difference"]) == exported.max_difference
    for value in (proto.graph.input[0], proto.graph.output[0]):
        axes = value.type.tensor_type.shape.dim
        assert [axis.dim_param for axis in axes] == ["batch", "", "height", "width"]
    assert [path.name for path in exported.path.parent.iterdir() if path.name.startswith(".")] == []


def test_what_is_there_is_kept(exported, model_path):
    before = exported.path.read_bytes()
    with pytest.raises(UserError, match="--overwrite"):
        export_model(Export(model=model_path, out=exported.path))
    assert exported.path.read_bytes() == before


@pytest.mark.parametrize("opset", [17, 99])
def test_operator_sets_that_cannot_be_written(tmp_path, model_path, opset):
    with pytest.raises(UserError, match=r"--opset.*use 18 to"):
        export_model(Export(model=model_path, out=tmp_path / "new" / "m.onnx", opset=opset))
    assert not (tmp_path / "new").exists()


def test_known_operator_sets():
    for opset in (18, 19, 20):
        check_opset(opset)


def test_weights_beyond_one_file():
    with torch.device("meta"):
        large = torch.nn.Linear(2**15, 2**14)
    with pytest.raises(UserError, match=r"at most 2 GB, and the weights take 2\.0"):
        check_size(large)
    check_size(torch.nn.Linear(2, 2))


def test_wrong_places(tmp_path, model_path):
    with pytest.raises(UserError, match="is a directory"):
        export_model(Export(model=model_path, out=tmp_path))
    with pytest.raises(UserError, match="--model"):
        export_model(Export(model=tmp_path / "absent", out=tmp_path / "m.onnx"))
    (tmp_path / "foreign.ckpt").write_text("hello")
    with pytest.raises(UserError, match=r"foreign\.ckpt"):
        export_model(Export(model=tmp_path / "foreign.ckpt", out=tmp_path / "m.onnx"))
    assert not (tmp_path / "m.onnx").exists()


def test_an_export_that_differs_is_not_written(tmp_path, exported, model_path, monkeypatch):
    """The exporter is made to deliver a network with other weights."""
    proto = onnx.load(exported.path)
    kernel = next(entry for entry in proto.graph.initializer if len(entry.dims) == 4)
    kernel.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(kernel) * 9 + 1, kernel.name))
    monkeypatch.setattr(onnx_module, "build", lambda model, opset, free: proto)
    (tmp_path / "m.onnx").write_bytes(b"older")
    with pytest.raises(ExportError, match="differ by"):
        export_model(Export(model=model_path, out=tmp_path / "m.onnx", overwrite=True))
    assert (tmp_path / "m.onnx").read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_a_network_for_one_size_is_said_to_be(model_path, exported, monkeypatch):
    """Free sizes fail, so the patch size alone is written; the exporter is replaced by what it wrote before."""
    proto, asked = onnx.load(exported.path), []

    def build(model, opset, free):
        asked.append(free)
        if free:
            raise RuntimeError("a size was baked in")
        return proto

    monkeypatch.setattr(onnx_module, "build", build)
    assert onnx_module.to_onnx(load_model_file(model_path), 18)[2] is False
    assert asked == [True, False]


def test_differences_are_found(model_path):
    model = load_model_file(model_path)
    shapes = [*free_shapes(model), *fixed_shapes(model)]

    def run(image):
        with torch.no_grad():
            return model.network(torch.from_numpy(image)).numpy()

    assert largest_difference(model, run, shapes) == 0
    assert largest_difference(model, lambda image: run(image) + 0.01, shapes) == pytest.approx(0.01, rel=0.1)
    assert largest_difference(model, lambda image: run(image)[:, :, 1:], shapes) == float("inf")
    assert largest_difference(model, lambda image: run(image) * np.nan, shapes) == float("inf")
    assert torch.equal(sample_image(model, shapes[0]), sample_image(model, shapes[0]))


@pytest.mark.parametrize("cells", [1, 2, 3, 6])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4), (12, 7)])
def test_pools_by_matrices_are_torchs(cells, size):
    x = torch.randn(2, 3, *size)
    expected = torch.nn.functional.adaptive_avg_pool2d(x, cells)
    assert torch.allclose(MatrixPool(cells, cells)(x), expected, atol=1e-6)


def test_the_hash_is_of_the_weights(model_path):
    state = load_model_file(model_path).network.state_dict()
    changed = {name: tensor.clone() for name, tensor in state.items()}
    assert weights_hash(changed) == weights_hash(state)
    next(iter(changed.values())).view(-1)[0] += 1e-6
    assert weights_hash(changed) != weights_hash(state)
