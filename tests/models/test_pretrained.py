"""Pretrained weights: fetched from a hub on this machine, kept for later, and fitted to any number of bands."""

import contextlib
import importlib
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save
from segmentation_models_pytorch.encoders import encoders, get_encoder

from darts_train.base.errors import UserError
from darts_train.cli.main import main
from darts_train.models.factory import create_network

ENCODER = "mobilenet_v2"
SETTINGS = encoders[ENCODER]["pretrained_settings"]["imagenet"]


@pytest.fixture(scope="module")
def pretrained():
    torch.manual_seed(5)
    state = get_encoder(ENCODER).state_dict()
    return {name: tensor.contiguous() for name, tensor in state.items()}


@pytest.fixture(scope="module")
def hub(pretrained):
    """A model hub with one model: the address, and the paths that it was asked for."""
    place = f"/{SETTINGS['repo_id']}/resolve/{SETTINGS['revision']}/"
    files = {place + "config.json": json.dumps({}).encode(), place + "model.safetensors": save(pretrained)}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            content = files.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("ETag", f'"{abs(hash(content)):x}"')
            self.send_header("X-Repo-Commit", SETTINGS["revision"])
            self.end_headers()
            return content or b""

        def do_GET(self):
            self.wfile.write(self.do_HEAD())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def fetched(hub, tmp_path_factory):
    """What the command said, and the cache that it filled."""
    cache = tmp_path_factory.mktemp("hub")
    changes = {"HF_ENDPOINT": hub[0], "HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
    line = ["download-weights", "--model-encoder", ENCODER, "--log-dir", str(tmp_path_factory.mktemp("logs"))]
    said, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        for name, value in changes.items():
            patch.setenv(name, value)
        importlib.reload(constants)  # the client reads its variables once, when it is imported
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
            code = main(line)
    importlib.reload(constants)
    return (code, said.getvalue(), errors.getvalue()), cache


@pytest.fixture
def offline(fetched, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(fetched[1]))


def test_the_command_fetches_once_what_training_takes_offline(hub, fetched, offline, pretrained):
    (code, said, errors), cache = fetched
    assert code == 0, errors
    assert f"imagenet of {ENCODER}" in said
    assert str(cache) in said
    assert any(path.endswith("model.safetensors") for path in hub[1])
    asked = len(hub[1])
    network = create_network("Unet", ENCODER, "imagenet", 3, 2)
    found = network.encoder.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in pretrained.items())
    assert len(hub[1]) == asked


def test_what_is_not_there_names_the_command(offline):
    with pytest.raises(UserError, match="darts download-weights --model-encoder resnet18 fetches them") as error:
        create_network("Unet", "resnet18", "imagenet", 3, 2)
    assert len(str(error.value).splitlines()) <= 2


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 6, 10])
def test_the_first_layer_is_that_of_three_bands(offline, pretrained, bands):
    """Band i has the weights of colour i mod 3, times 3 / bands; one band has their sum."""
    rgb = next(tensor for tensor in pretrained.values() if tensor.ndim == 4)
    network = create_network("Unet", ENCODER, "imagenet", bands, 2)
    found = next(p for p in network.encoder.parameters() if p.ndim == 4)
    expected = torch.stack([rgb[:, i % 3] for i in range(bands)], 1) * (3 / bands)
    if bands == 1:
        expected = rgb.sum(1, keepdim=True)
    torch.testing.assert_close(found.detach(), expected)
    if bands == 1 or bands % 3 == 0:  # a grey pixel gives what it gave
        torch.testing.assert_close(found.detach().sum(1), rgb.sum(1), atol=1e-5, rtol=1e-4)
    others = [name for name, tensor in pretrained.items() if tensor is not rgb]
    state = network.encoder.state_dict()
    assert all(torch.equal(state[name], pretrained[name]) for name in others)
