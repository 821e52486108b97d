"""Repositories for Triton: their configuration as Triton's own protocol buffer reads it, versions, and the command."""

import json
import os
import shlex
import zipfile

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from darts_train.base.errors import UserError
from darts_train.export import triton_repository as module
from darts_train.export.triton import container as docker
from darts_train.export.triton.config import quoted
from darts_train.export.triton_repository import triton_repository
from darts_train.options.serving import ServedModel, TritonContainer
from tests.support.kserve import facts, write_onnx

FIVE = ("land", "shadow", "water", "snow", "cloud")


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return write_onnx(tmp_path_factory.mktemp("net") / "net.onnx")


def written(out, model, container=None, **settings):
    served = ServedModel(**({"model": model, "out": out, "name": "clouds"} | settings))
    result = triton_repository(served=served, container=container or TritonContainer())
    return result, text_format.Parse(result.config.read_text(), model_config_pb2.ModelConfig())


def parameters(config):
    return {key: value.string_value for key, value in config.parameters.items()}


def test_an_onnx_file_on_the_cpu(net, tmp_path):
    result, config = written(tmp_path, net, max_batch=6, instances=2, instance_threads=3)
    assert result.directory == tmp_path / "clouds"
    assert (tmp_path / "clouds" / "1" / "model.onnx").read_bytes() == net.read_bytes()
    assert (config.name, config.platform, config.backend) == ("clouds", "onnxruntime_onnx", "onnxruntime")
    assert config.default_model_filename == "model.onnx"
    assert config.max_batch_size == 6
    assert config.HasField("dynamic_batching")
    ((image,), (logits,)) = config.input, config.output
    assert (image.name, list(image.dims), image.data_type) == ("image", [6, -1, -1], model_config_pb2.TYPE_FP32)
    assert (logits.name, list(logits.dims), logits.data_type) == ("logits", [1, -1, -1], model_config_pb2.TYPE_FP32)
    (group,) = config.instance_group
    assert (group.count, group.kind) == (2, model_config_pb2.ModelInstanceGroup.KIND_CPU)
    assert parameters(config)["intra_op_thread_count"] == "3"
    assert config.version_policy.latest.num_versions == 1
    assert "--gpus" not in result.command


def test_an_onnx_file_on_gpus(net, tmp_path):
    result, config = written(tmp_path, net, use_gpus=True, serve_size=64, max_batch=1)
    assert list(config.input[0].dims) == [6, 64, 64]
    assert list(config.output[0].dims) == [1, 64, 64]
    assert config.instance_group[0].kind == model_config_pb2.ModelInstanceGroup.KIND_GPU
    assert not config.HasField("dynamic_batching")
    assert parameters(config)["cudnn_conv_algo_search"] == "1"
    assert "intra_op_thread_count" not in parameters(config)
    assert config.optimization.input_pinned_memory.enable
    assert result.command[result.command.index("--gpus") + 1] == "all"


def test_a_graph_of_one_batch_and_size_is_served_as_it_is(tmp_path):
    net = write_onnx(tmp_path / "net.onnx", FIVE, batch=2, side=32)
    _, config = written(tmp_path, net)
    assert config.max_batch_size == 0
    assert not config.HasField("dynamic_batching")
    assert list(config.input[0].dims) == [2, 6, 32, 32]
    assert list(config.output[0].dims) == [2, 5, 32, 32]


def test_an_engine_is_described_by_what_lies_beside_it(tmp_path):
    engine = tmp_path / "net.engine"
    engine.write_bytes(b"\0engine")
    (tmp_path / "net.engine.json").write_text(json.dumps(facts(FIVE, free_sizes=False)))
    _, config = written(tmp_path, engine, use_gpus=True)
    assert (config.platform, config.backend) == ("tensorrt_plan", "tensorrt")
    assert (tmp_path / "clouds" / "1" / "model.plan").read_bytes() == b"\0engine"
    assert (config.input[0].name, list(config.input[0].dims)) == ("image", [6, 32, 32])
    assert (config.output[0].name, list(config.output[0].dims)) == ("logits", [5, 32, 32])


def test_an_engine_is_asked_for_no_more_than_it_was_built_for(tmp_path):
    engine = tmp_path / "net.plan"
    engine.write_bytes(b"\0engine")
    ends = {"minShapes": [1, 6, 32, 32], "optShapes": [1, 6, 32, 32], "maxShapes": [3, 6, 64, 64]}
    (tmp_path / "net.plan.json").write_text(json.dumps(facts(free_sizes=False, tensorrt=ends)))
    _, config = written(tmp_path, engine, max_batch=8)
    assert config.max_batch_size == 3
    assert list(config.input[0].dims) == [6, -1, -1]
    (tmp_path / "net.plan.json").write_text(json.dumps(facts(tensorrt={"minShapes": "x"})))
    with pytest.raises(UserError, match="engine's shapes"):
        written(tmp_path, engine)


def test_torchscript_has_numbers_for_names(tmp_path):
    script = tmp_path / "net.pt"
    with zipfile.ZipFile(script, "w") as archive:
        archive.writestr("net/extra/metadata.json", json.dumps(facts()))
    _, config = written(tmp_path, script)
    assert (config.platform, config.backend) == ("pytorch_libtorch", "pytorch")
    assert (config.input[0].name, list(config.input[0].dims)) == ("INPUT__0", [6, -1, -1])
    assert (config.output[0].name, list(config.output[0].dims)) == ("OUTPUT__0", [1, -1, -1])
    assert parameters(config)["INFERENCE_MODE"] == "true"


def test_what_is_said_of_each_version_is_in_the_configuration(net, tmp_path):
    written(tmp_path, net)
    other = write_onnx(tmp_path / "other.onnx", said=facts(threshold=0.125, source={"név": 'a"b\\c\n'}))
    _, config = written(tmp_path, other)
    told = {key: json.loads(text) for key, text in parameters(config).items() if key.startswith("darts.facts.")}
    assert told == {
        "darts.facts.1": facts(),
        "darts.facts.2": facts(threshold=0.125, source={"név": 'a"b\\c\n'}),
    }


@given(st.text(st.sampled_from('a1é"\\\n\0\x7f😀')))
def test_text_of_any_kind_can_stand_in_a_configuration(text):
    config = model_config_pb2.ModelConfig()
    text_format.Parse(f"name: {quoted(text)}", config)
    assert config.name == text


def test_versions_are_added_and_never_touched(net, tmp_path):
    first, _ = written(tmp_path, net)
    again, config = written(tmp_path, net, instances=3)
    assert first.version == again.version == 1
    assert config.instance_group[0].count == 3
    second = write_onnx(tmp_path / "second.onnx", FIVE)
    result, config = written(tmp_path, second)
    assert (result.version, result.versions) == (2, (1, 2))
    assert config.output[0].dims[0] == 5
    assert (tmp_path / "clouds" / "1" / "model.onnx").read_bytes() == net.read_bytes()
    assert written(tmp_path, net, version=7)[0].versions == (1, 2, 7)
    assert "version 7 beside 1, 2" in written(tmp_path, net)[0].summary()
    for version, words in ((7, "is there already, with another model"), (3, "below 7, the newest")):
        with pytest.raises(UserError, match=words):
            written(tmp_path, second, version=version)
    names = sorted(path.name for path in (tmp_path / "clouds").iterdir())
    assert names == ["1", "2", "7", "config.pbtxt"]


def test_a_full_disk_leaves_the_repository_as_it_was(net, tmp_path, monkeypatch):
    written(tmp_path, net)
    before = (tmp_path / "clouds" / "config.pbtxt").read_bytes()
    other = write_onnx(tmp_path / "other.onnx", FIVE)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.shutil, "copyfile", full)
    with pytest.raises(UserError, match="Make room"):
        written(tmp_path, other)
    assert sorted(path.name for path in (tmp_path / "clouds").iterdir()) == ["1", "config.pbtxt"]
    assert (tmp_path / "clouds" / "config.pbtxt").read_bytes() == before


def test_a_strangers_graph_is_served_too(tmp_path, caplog):
    net = write_onnx(tmp_path / "net.onnx", said={})
    result, config = written(tmp_path, net)
    assert list(config.input[0].dims) == [6, -1, -1]
    assert not (result.directory / "1" / "darts.json").exists()
    assert "will want --model" in caplog.text
    (tmp_path / "facts.json").write_text(json.dumps(facts()))
    _, config = written(tmp_path, net, facts=tmp_path / "facts.json", name="told")
    assert json.loads(parameters(config)["darts.facts.1"]) == facts()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "../up"}, "--name"),
        ({"name": ""}, "--name"),
        ({"model": "gone.onnx"}, "does not exist"),
        ({"model": "text.onnx"}, "no ONNX model"),
        ({"model": "text.txt"}, "none of .onnx, .plan"),
        ({"model": "bare.plan"}, "nothing says what"),
        ({"model": "bare.plan", "facts": "text.txt"}, "nothing says what"),
        ({"facts": "five.json"}, "speaks of 6 bands and 5 classes"),
        ({"facts": "odd.json"}, "lacks 'stride'"),
        ({"model": "fixed.onnx", "serve_size": 48}, "--serve-size: 48 is not what image"),
        ({"out": "text.txt"}, "--out"),
        ({"container": {"docker_version": "a b"}}, "--docker-version"),
        ({"container": {"container_name": "-x"}}, "--container-name"),
        ({"container": {"http_port": 9000, "grpc_port": 9000}}, "are both 9000"),
        ({"out": "a,b"}, "comma"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_is_written(change, words, net, tmp_path):
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "text.txt").write_text("no model")
    (tmp_path / "bare.plan").write_bytes(b"\0")
    (tmp_path / "five.json").write_text(json.dumps(facts(FIVE)))
    (tmp_path / "odd.json").write_text(json.dumps({k: v for k, v in facts().items() if k != "stride"}))
    write_onnx(tmp_path / "fixed.onnx", side=32)
    before = sorted(tmp_path.iterdir())
    change = dict(change)
    container = TritonContainer(**change.pop("container", {}))
    places = {key: tmp_path / text if key in ("model", "facts", "out") else text for key, text in change.items()}
    with pytest.raises(UserError, match=words) as error:
        written(places.pop("out", tmp_path / "repository"), places.pop("model", net), container, **places)
    assert len(str(error.value).splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_the_command(net, tmp_path):
    wanted = TritonContainer(docker_version="25.01-py3", container_name="mine", http_port=9000, grpc_port=9001)
    result, _ = written(tmp_path / "my models", net, wanted, use_gpus=True)
    line = result.summary().splitlines()[-1]
    assert shlex.split(line) == list(result.command)
    assert " ".join(result.command) == (
        "docker run --rm --name mine --gpus all --publish 9000:8000 --publish 9001:8001 "
        f"--mount type=bind,source={tmp_path / 'my models'},target=/models,readonly "
        "nvcr.io/nvidia/tritonserver:25.01-py3 tritonserver --model-repository=/models"
    )


def program(directory, text):
    """A `docker` of our own, first on the path."""
    directory.mkdir()
    (directory / "docker").write_text(f"#!/bin/sh\n{text}\n")
    (directory / "docker").chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


def test_running_it(net, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", program(tmp_path / "bin", f'echo "$@" >> {tmp_path / "said"}'))
    result, _ = written(tmp_path / "models", net, TritonContainer(run=True))
    assert (tmp_path / "said").read_text().splitlines() == ["version", " ".join(result.command[1:])]


def test_a_container_that_fails(net, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", program(tmp_path / "bin", 'test "$1" = version'))
    with pytest.raises(UserError, match="docker ended with 1"):
        written(tmp_path / "models", net, TritonContainer(run=True))
    assert (tmp_path / "models" / "clouds" / "config.pbtxt").exists()


def test_docker_that_is_not_there_or_does_not_answer(net, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", program(tmp_path / "bin", "echo is the daemon running? >&2; exit 1"))
    with pytest.raises(UserError, match="--run: docker's service does not answer: is the daemon"):
        written(tmp_path / "models", net, TritonContainer(run=True))
    monkeypatch.setattr(docker.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match="--run: docker is not installed"):
        written(tmp_path / "models", net, TritonContainer(run=True))
    assert not (tmp_path / "models").exists()


def test_where_the_model_cannot_lie(net, tmp_path):
    (tmp_path / "clouds").write_text("mine")
    with pytest.raises(UserError, match="clouds is a file, where the model's directory would be"):
        written(tmp_path, net)
    assert (tmp_path / "clouds").read_text() == "mine"
    (tmp_path / "sky" / "config.pbtxt").mkdir(parents=True)
    with pytest.raises(UserError, match=r"sky/config\.pbtxt is a directory, where a file would be"):
        written(tmp_path, net, name="sky")
    assert [path.name for path in (tmp_path / "sky").iterdir()] == ["config.pbtxt"]
    with pytest.raises(UserError, match=r"--name: .* is no such name; up to 200 letters"):
        written(tmp_path, net, name="a" * 201)
