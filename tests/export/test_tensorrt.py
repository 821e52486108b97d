"""TensorRT's commands as text; trtexec as a small program of ours that notes how it was called and answers."""

import json
import sys

import numpy as np
import onnx
import pytest
import torch

from darts_train.base.errors import UserError
from darts_train.export.export import export_model
from darts_train.export.formats import tensorrt
from darts_train.export.formats.protocol import ExportError
from darts_train.export.formats.tensorrt_command import as_text, docker_command, shapes_for, trtexec_command
from darts_train.export.formats.tensorrt_engine import TrtexecBuilder, builder_here, read_output
from darts_train.export.graphs import onnx as onnx_module
from darts_train.export.graphs.graph import Graph
from darts_train.models.model_file import load_model_file
from darts_train.options.exporting import Export
from tests.support.exporting import quick_build, saved_model

FAKE = """#!/bin/sh
echo "$@" >> "$LOG"
for word in "$@"; do
  case "$word" in
    --saveEngine=*) printf engine > "${word#*=}" ;;
    --shapes=*) shape="${word#*:}" ;;
    --exportOutput=*) cp "$ANSWERS/$shape.json" "${word#*=}" ;;
    --onnx=*) cp "${word#*=}" "$ANSWERS/given.onnx" ;;
  esac
done
[ -z "$FAIL" ] || { echo "no CUDA-capable device" >&2; exit 1; }
"""


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    torch.set_num_threads(1)
    options = (("encoder_depth", 1), ("encoder_channels", 4))
    return saved_model(tmp_path_factory.mktemp("model") / "model.ckpt", options=options)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(onnx_module, "build", quick_build)


@pytest.fixture
def trtexec(tmp_path, monkeypatch):
    """A program of that name on PATH; returns where answers are and the list of calls."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "answers").mkdir()
    program = tmp_path / "bin" / "trtexec"
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("ANSWERS", str(tmp_path / "answers"))
    return tmp_path


def answer(place, model, shapes, shift=0.0):
    graph = Graph(model)
    for batch, height, width in shapes:
        with torch.no_grad():
            logits = graph.whole(graph.sample((batch, height, width))).numpy() + shift
        text = "x".join(map(str, logits.shape))
        entry = {"name": "logits", "dimensions": text, "values": logits.ravel().tolist()}
        (place / "answers" / f"{batch}x2x{height}x{width}.json").write_text(json.dumps([entry]))


def test_the_command():
    command = trtexec_command("m.onnx", "m.plan", "image", shapes_for(3, 512, 4), True)
    assert as_text(command) == (
        "trtexec --onnx=m.onnx --saveEngine=m.plan --minShapes=image:1x3x512x512 --optShapes=image:1x3x512x512 "
        "--maxShapes=image:4x3x512x512 --fp16"
    )
    command = trtexec_command("m.onnx", "m.plan", "image", shapes_for(3, 512, 1, (64, 1024)), False)
    assert command[3:] == [
        "--minShapes=image:1x3x64x64", "--optShapes=image:1x3x512x512", "--maxShapes=image:1x3x1024x1024",
    ]  # fmt: skip


def test_the_command_in_a_container(tmp_path):
    source, plan = tmp_path / "in put" / "m.onnx", tmp_path / "out" / "m.plan"
    text = as_text(docker_command(source, plan, "image", shapes_for(3, 512, 4), True, "24.12-py3"))
    assert text.startswith(f"docker run --rm --gpus all -v '{source.parent}:/workspace/input:ro' -v {plan.parent}:")
    assert "nvcr.io/nvidia/tensorrt:24.12-py3 trtexec --onnx=/workspace/input/m.onnx" in text
    assert "--saveEngine=/workspace/output/m.plan" in text


def test_without_tensorrt_the_command_is_said(tmp_path, model_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="nothing was built") as raised:
        export_model(Export(model=model_path, out=tmp_path / "m.plan", format="tensorrt"))
    first, second = str(raised.value).splitlines()
    assert f"--format onnx --out {tmp_path / 'm.onnx'}" in first
    assert second.startswith(f"trtexec --onnx={tmp_path / 'm.onnx'} --saveEngine={tmp_path / 'm.plan'}")
    assert not list(tmp_path.iterdir())


def test_trtexec_builds_and_is_compared(trtexec, model_path):
    model = load_model_file(model_path)
    answer(trtexec, model, [(1, 64, 64), (4, 64, 64)])
    result = export_model(Export(model=model_path, out=trtexec / "m.plan", format="tensorrt"))
    assert result.path.read_bytes() == b"engine"
    assert result.max_difference < 1e-5
    calls = (trtexec / "log").read_text().splitlines()
    assert "--maxShapes=image:4x2x64x64 --fp16" in calls[0]
    assert [("--loadEngine=" in call, "--loadInputs=image:" in call) for call in calls[1:]] == [(True, True)] * 2
    onnx.checker.check_model(onnx.load(trtexec / "answers" / "given.onnx"))
    facts = json.loads(result.metadata.read_text())
    assert facts["tensorrt"] == {
        "minShapes": [1, 2, 64, 64], "optShapes": [1, 2, 64, 64], "maxShapes": [4, 2, 64, 64],
        "fp16": True, "built_by": "trtexec", "compared": True,
    }  # fmt: skip
    assert facts["bands"] == ["red", "slope"]


@pytest.fixture
def built(monkeypatch, trtexec, model_path):
    """The writer, its ONNX taken from a file of no meaning: these tests look at what comes after."""
    monkeypatch.setattr(tensorrt, "to_onnx", lambda model, opset, graph: (onnx.ModelProto(), 1e-6, True))
    return lambda **settings: tensorrt.write(
        load_model_file(model_path), Export(model=model_path, out=trtexec / "m.plan", format="tensorrt", **settings)
    )


def test_an_engine_that_says_something_else(built, trtexec, model_path):
    answer(trtexec, load_model_file(model_path), [(1, 64, 64)], shift=1.0)
    with pytest.raises(ExportError, match="differ by"):
        built(tensorrt_batch=1)


def test_an_engine_that_cannot_be_run_is_said_to_be_uncompared(built, trtexec):
    """There are no answers, as where trtexec knows no --exportOutput."""
    written = built()
    assert written.max_difference == 1e-6
    assert "was not compared" in written.notes[0]
    assert written.facts["tensorrt"]["compared"] is False


def test_a_failure_of_trtexec_is_passed_on(built, monkeypatch):
    monkeypatch.setenv("FAIL", "1")
    with pytest.raises(UserError, match=r"exit code 1.*no CUDA-capable device"):
        built()


def test_sides(built, trtexec):
    written = built(tensorrt_side=128, tensorrt_batch=2)
    assert written.facts["tensorrt"]["minShapes"] == [1, 2, 2, 2]
    assert written.facts["tensorrt"]["maxShapes"] == [2, 2, 128, 128]
    with pytest.raises(UserError, match="--tensorrt-side"):
        built(tensorrt_side=32)


def test_output_of_trtexec():
    text = '[{"name": "other"}, {"name": "logits", "dimensions": "1x1x1x2", "values": [1, 2.5]}]'
    assert np.array_equal(read_output(text), np.array([[[[1, 2.5]]]], np.float32))
    for bad in ("[]", "{", '[{"name": "logits"}]'):
        with pytest.raises((KeyError, ValueError, TypeError)):
            read_output(bad)
    assert TrtexecBuilder.name == "trtexec"


class _Package:
    """As much of the package `tensorrt` as building an engine asks for; notes what it was told."""

    __version__ = "10.9"
    NetworkDefinitionCreationFlag = object()

    def __init__(self):
        self.told, self.shapes = [], []
        self.Logger = type("Logger", (), {"ERROR": 1, "__init__": lambda logger, level: None})
        self.BuilderFlag = type("BuilderFlag", (), {"FP16": "fp16"})

    def Builder(self, logger):
        return self

    def create_network(self, flags):
        self.told.append(("network", flags))

    def OnnxParser(self, network, logger):
        return self

    def parse(self, data):
        return bool(data)

    def get_error(self, number):
        return "no operator of that name"

    def create_builder_config(self):
        return self

    def create_optimization_profile(self):
        return self

    def set_shape(self, *shapes):
        self.shapes.append(shapes)

    def add_optimization_profile(self, profile):
        self.told.append("profile")

    def set_flag(self, flag):
        self.told.append(flag)

    def build_serialized_network(self, network, config):
        return bytearray(b"engine")


def test_the_package_comes_before_trtexec(trtexec, monkeypatch):
    """Its calls are those of TensorRT's own documentation; the real one has not been asked."""
    package = _Package()
    monkeypatch.setitem(sys.modules, "tensorrt", package)
    builder = builder_here()
    assert builder.name == "tensorrt 10.9"
    shapes = shapes_for(2, 64, 4)
    assert builder.build(b"onnx", shapes, True, trtexec) == b"engine"
    assert package.shapes == [("image", (1, 2, 64, 64), (1, 2, 64, 64), (4, 2, 64, 64))]
    assert package.told == [("network", 0), "profile", "fp16"]
    with pytest.raises(UserError, match="no operator of that name"):
        builder.build(b"", shapes, False, trtexec)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert builder_here().name == "trtexec"
