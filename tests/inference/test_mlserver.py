"""Maps by a real KServe v2 server: MLServer, over JSON and over gRPC."""

import pytest

from darts_train.base.errors import UserError
from darts_train.inference.predict_remote import open_remote, predict_remote
from darts_train.options.predicting import Maps, SceneFiles, Windows
from darts_train.options.serving import RemoteModel
from tests.inference.test_predict import crop
from tests.support.kserve import BANDS, write_onnx
from tests.support.mlserver import mlserver
from tests.support.predicting import predicted


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return write_onnx(tmp_path_factory.mktemp("net") / "net.onnx")


@pytest.fixture(scope="module")
def served(net, tmp_path_factory):
    with mlserver(tmp_path_factory.mktemp("mlserver"), net, (len(BANDS), 1)) as (http, grpc):
        yield {"http": http, "grpc": grpc}


def test_maps_of_a_real_server_are_those_of_predict(served, net, tmp_path):
    scene = crop(tmp_path / "scene.tif", (90, 60))
    here = predicted(model=net, input=(scene,), out_dir=tmp_path / "here").maps[0]
    for protocol, address in served.items():
        there = predict_remote(
            remote=RemoteModel(url=address, protocol=protocol, model_name="net", model=net, concurrent=2),
            scenes=SceneFiles(input=(scene,)),
            windows=Windows(),
            maps=Maps(out_dir=tmp_path / protocol),
        ).maps[0]
        assert there.probabilities.read_bytes() == here.probabilities.read_bytes()
        assert there.classes.read_bytes() == here.classes.read_bytes()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_what_a_real_server_does_not_have(protocol, served, net):
    settings = {"url": served[protocol], "protocol": protocol, "model": net, "wait_seconds": 0.0}
    with (
        pytest.raises(UserError, match="--model-name: other is not there"),
        open_remote(RemoteModel(**settings, model_name="other"), None),
    ):
        pass
    with (
        pytest.raises(UserError, match="does not say which bands"),
        open_remote(RemoteModel(**(settings | {"model": None}), model_name="net"), None),
    ):
        pass


def test_one_protocol_at_the_port_of_the_other(served, net):
    for protocol, other in (("http", "grpc"), ("grpc", "http")):
        settings = RemoteModel(url=served[other], protocol=protocol, model_name="net", model=net, wait_seconds=0.0)
        with pytest.raises(UserError, match="--url") as error, open_remote(settings, None):
            pass
        assert len(str(error.value).splitlines()) == 1
