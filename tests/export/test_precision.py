"""Networks in 16 and in 8 bits: what they lose is small, measured on other patches, and stands in the file."""

import json

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.export.export import export_model
from darts_train.export.formats import onnx_int8
from darts_train.export.formats.onnx_half import halved
from darts_train.export.graphs.onnx import build, runner
from darts_train.export.graphs.quantise import quantised
from darts_train.export.graphs.real_patches import choose_patches, open_patches
from darts_train.models.factory import create_network
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import load_model_file, make_model_config, save_model_file
from darts_train.options.exporting import Export
from tests.support.sets import make_config, make_set

OPTIONS = (("encoder_channels", 8), ("encoder_depth", 1))


def save(path, bands=2, classes=2, inner=1.0):
    """A network that sees discs in the first band: what its random layers make of them is stretched to -4 and 4.

    `inner` is a factor of what its first layer says, which its last layers take away again.
    """
    torch.manual_seed(1)
    config = make_config(bands, 32, classes)
    network = create_network("FCN", "dilated", None, bands, classes, OPTIONS).eval()
    spec = InputSpecification(config.bands)
    ground = torch.full((1, bands, 16, 16), 0.05 / 0.3)
    disc = ground.clone()
    disc[:, 0] = 0.25 / 0.3
    with torch.no_grad():
        head, first, look = network.segmentation_head, network.encoder[0][0], network.encoder[1].look
        if classes == 2:
            dark, bright = (float(network(image)[0, 0, 8, 8]) for image in (ground, disc))
            head.bias.copy_((head.bias - (dark + bright) / 2) * 8 / (bright - dark))
            head.weight *= 8 / (bright - dark)
        for tensor in (first.weight, first.bias, look[1].running_mean, look[3].weight, look[3].bias):
            tensor *= inner
        look[1].running_var *= inner**2
        head.weight /= inner
    said = make_model_config("FCN", "dilated", None, spec, config.classes, 32, 255, 0.5, options=OPTIONS)
    save_model_file(path, said, network.state_dict())
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    directory = tmp_path_factory.mktemp("precision")
    make_set(directory / "set", patches=12, size=32, bands=2)
    save(directory / "m.ckpt")
    torch.set_num_threads(1)
    return directory


@pytest.fixture(scope="module")
def single(place):
    return build(load_model_file(place / "m.ckpt"), 18, free=True)


def metadata(path):
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def test_eight_bits(place, monkeypatch, single):
    """Through the command, with codes as input; the network's own export is the module's."""
    monkeypatch.setattr("darts_train.export.graphs.onnx.build", lambda *_, **__: copied(single))
    settings = Export(
        model=place / "m.ckpt", out=place / "int8.onnx", format="onnx-int8", graph_input="codes",
        calibration_data=place / "set", calibration_patches=4,
    )  # fmt: skip
    result = export_model(settings)
    facts = metadata(result.path)
    told = json.loads(facts["int8"])
    assert (told["calibration_patches"], told["compared_patches"], told["compared_on"]) == (4, 4, "any")
    assert facts["precision"] == "int8"
    assert facts["graph_input"] == "codes"
    assert told["iou_loss"] == told["iou_float32"] - told["iou_int8"]
    assert f"{told['iou_int8']:.4f}" in result.summary()
    assert f"({told['iou_int8'] - told['iou_float32']:+.4f})" in result.summary()  # a gain is no negative loss
    assert told["iou_float32"] > 0.9  # else the agreement would be that of noise
    assert told["pixel_agreement"] > 0.98
    patches = open_patches(load_model_file(place / "m.ckpt"), settings)
    codes = np.stack([patches.data.read(row)[0] for row in patches.comparison]).astype(np.float32)
    session = onnxruntime.InferenceSession(str(result.path))
    found = session.run(None, {"image": codes})[0]
    images = np.concatenate([image for image, _ in patches.labelled()])
    full = runner(single)(images)
    assert np.mean((found > 0) == (full > 0)) == pytest.approx(told["pixel_agreement"], abs=1e-3)
    assert np.abs(found - full).max() / max(1, np.abs(full).max()) == pytest.approx(result.max_difference, abs=1e-3)
    types = {node.op_type for node in onnx.load(result.path).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= types
    kinds = {entry.data_type for entry in onnx.load(result.path).graph.initializer}
    assert {onnx.TensorProto.INT8, onnx.TensorProto.UINT8} <= kinds


def copied(proto):
    other = onnx.ModelProto()
    other.CopyFrom(proto)
    return other


def test_patches_are_asked_for_once_and_one_at_a_time(single):
    asked = []

    def image(i):
        asked.append(i)
        return np.full((1, 2, 32, 32), i / 5, np.float32)

    quantised(single, 5, image)
    assert asked == [0, 1, 2, 3, 4]


def test_without_symbolic_shapes(single, monkeypatch):
    """Their inference gives up on some networks; then it goes without."""
    from darts_train.export.graphs import quantise

    real, tried = quantise.quant_pre_process, []

    def process(proto, path, **how):
        tried.append(how)
        if len(tried) == 1:
            raise AssertionError("a symbol met a matrix")
        real(proto, path, **how)

    monkeypatch.setattr(quantise, "quant_pre_process", process)
    before = single.SerializeToString()
    found = quantised(single, 1, lambda i: np.zeros((1, 2, 32, 32), np.float32))
    assert len(tried) == 2
    assert single.SerializeToString() == before  # what was made is compared with it
    assert [axis.dim_param for axis in found.graph.input[0].type.tensor_type.shape.dim] == [
        "batch",
        "",
        "height",
        "width",
    ]


def test_half_precision(place, monkeypatch, single):
    monkeypatch.setattr("darts_train.export.graphs.onnx.build", lambda *_, **__: copied(single))
    out = place / "half.onnx"
    result = export_model(Export(model=place / "m.ckpt", out=out, format="onnx-fp16", graph_input="codes"))
    proto = onnx.load(out)
    assert metadata(out)["precision"] == "float16"
    assert {entry.type.tensor_type.elem_type for entry in (*proto.graph.input, *proto.graph.output)} == {1}
    weights = [entry for entry in proto.graph.initializer if len(entry.dims) == 4 and entry.name[:6] != "darts_"]
    assert {entry.data_type for entry in weights} == {onnx.TensorProto.FLOAT16}
    assert 0 < result.max_difference < 0.01


@pytest.mark.parametrize(("inner", "what"), [(1e6, "encoder.0.0.weight"), (9e4, "FCN with dilated")])
def test_beyond_the_range_of_half_precision(tmp_path, monkeypatch, single, inner, what):
    """A weight that half precision cannot say is refused, and so is a value that overflows; nothing is written.

    The network says the same as ever in single precision; what is large are values within it.
    """
    state = load_model_file(save(tmp_path / "m.ckpt", inner=inner)).network.state_dict()
    proto = copied(single)
    for entry in proto.graph.initializer:
        folded = entry.name.endswith("look.0.weight")  # with the normalisation behind it
        weights = onnx.numpy_helper.to_array(entry) / np.float32(inner)
        weights = weights if folded else state[entry.name.removeprefix("network.")].numpy()
        entry.CopyFrom(onnx.numpy_helper.from_array(weights, entry.name))
    monkeypatch.setattr("darts_train.export.graphs.onnx.build", lambda *_, **__: proto)
    out = tmp_path / "none.onnx"
    with pytest.raises(UserError, match=f"{what}.*65504"):
        export_model(Export(model=tmp_path / "m.ckpt", out=out, format="onnx-fp16"))
    assert not out.exists()


def test_halved_sorts_its_nodes(single):
    onnx.checker.check_model(halved(single))


def test_a_set_of_another_kind(place, tmp_path):
    def refused(data, match):
        settings = Export(model=place / "m.ckpt", out=tmp_path / "m.onnx", format="onnx-int8", calibration_data=data)
        with pytest.raises(UserError, match=match):
            export_model(settings)
        assert not (tmp_path / "m.onnx").exists()

    refused(None, "needs --calibration-data")
    refused(tmp_path / "absent", "--calibration-data: .* does not exist")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "not a train data directory")
    make_set(tmp_path / "one", patches=4, bands=1, regions=1, size=16)
    refused(tmp_path / "one", "lacks green")
    make_set(tmp_path / "three", patches=4, bands=2, classes=3, regions=1, size=16)
    refused(tmp_path / "three", "classes")


def test_test_patches_are_not_looked_at(place, monkeypatch):
    """Of a run on the same set, training patches calibrate and validation patches compare."""
    from darts_train.export.graphs import real_patches

    opened = real_patches.TrainData.open(place / "set")
    rows = np.arange(len(opened))
    table = pd.DataFrame({"train": rows < 6, "val": (rows >= 6) & (rows < 9), "test": rows >= 9})
    run = place / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "best.ckpt").write_bytes((place / "m.ckpt").read_bytes())
    table.to_parquet(run / "split.parquet")
    record = type("Record", (), {"data_hash": opened.data_hash})()
    monkeypatch.setattr(real_patches, "read_record", lambda directory: record if directory == run else None)
    settings = Export(model=run, out=place / "x.onnx", format="onnx-int8", calibration_data=place / "set")
    found = open_patches(load_model_file(run / "checkpoints" / "best.ckpt"), settings)
    assert found.split
    assert set(found.calibration) <= set(range(6))
    assert set(found.comparison) <= {6, 7, 8}
    record.data_hash = "another"
    assert not open_patches(load_model_file(run / "checkpoints" / "best.ckpt"), settings).split


@given(st.lists(st.booleans(), min_size=2, max_size=60), st.integers(1, 40), st.integers(0, 5))
@settings(max_examples=50, deadline=None)
def test_choice_of_patches(empty, count, seed):
    metadata = pd.DataFrame({"empty": empty})
    first, second = choose_patches(metadata, None, count, seed)
    assert not set(first) & set(second)
    assert len(first) == len(second) == min(count, len(empty) // 2)
    again = choose_patches(metadata, None, count, seed)
    assert np.array_equal(first, again[0])
    assert np.array_equal(second, again[1])
    full = [row for row, nothing in enumerate(empty) if not nothing]
    assert len(set(first) & set(full)) >= min(len(full), (len(first) + 1) // 2)


def test_a_great_loss_is_warned_of(caplog, place):
    loss = onnx_int8.Loss(4, 0.9, 0.7, 0.8, 0.3)
    patches = open_patches(
        load_model_file(place / "m.ckpt"),
        Export(model=place / "m.ckpt", out=place / "x", format="onnx-int8", calibration_data=place / "set"),
    )
    with caplog.at_level("WARNING"):
        notes = onnx_int8._notes(patches, loss)
    assert "0.200 of IoU" in caplog.text
    assert "0.2000" in notes[0]
