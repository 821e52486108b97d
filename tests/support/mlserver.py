"""A real KServe v2 server: MLServer with an ONNX network, in an environment of its own (DARTS_MLSERVER).

Made once with `uv venv DIR && uv pip install --python DIR/bin/python mlserver onnxruntime`; `.ci/run` does so.
"""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

RUNTIME = """
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class Net(MLModel):
    async def load(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = self.settings.parameters.uri
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload):
        image = NumpyCodec.decode_input(payload.inputs[0])
        logits = self.session.run(None, {"image": image})[0]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("logits", logits)])
"""


def program() -> Path:
    """The program `mlserver`; without it the test is skipped, or fails where skips are forbidden."""
    place = os.environ.get("DARTS_MLSERVER")
    found = Path(place) / "bin" / "mlserver" if place else None
    if found is None or not found.is_file():
        reason = "no MLServer: DARTS_MLSERVER names an environment with mlserver and onnxruntime"
        (pytest.fail if os.environ.get("DARTS_FORBID_SKIPS") == "1" else pytest.skip)(reason)
    return found


@contextmanager
def mlserver(directory: Path, model: Path, channels: tuple[int, int]):
    """Serve a network (`image` to `logits`) as `net`; gives HOST:PORT for HTTP and for gRPC."""
    started = program()
    shutil.copy(model, directory / "model.onnx")
    (directory / "runtime.py").write_text(RUNTIME)
    tensors = [{"datatype": "FP32", "shape": [-1, count, -1, -1]} for count in channels]
    settings = {
        "name": "net",
        "implementation": "runtime.Net",
        "parameters": {"uri": str(directory / "model.onnx")},
        "inputs": [{"name": "image", **tensors[0]}],
        "outputs": [{"name": "logits", **tensors[1]}],
    }
    (directory / "model-settings.json").write_text(json.dumps(settings))
    http, grpc = _free_ports(2)
    whole = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_endpoint": None}
    (directory / "settings.json").write_text(json.dumps(whole | {"parallel_workers": 0, "debug": False}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
    with (directory / "log").open("w") as log:
        process = subprocess.Popen(
            [started, "start", str(directory)], stdout=log, stderr=log, cwd=directory, env=environment
        )
    try:
        _wait(process, f"http://127.0.0.1:{http}/v2/models/net/ready", directory / "log")
        yield f"127.0.0.1:{http}", f"127.0.0.1:{grpc}"
    finally:
        process.kill()
        process.wait()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _wait(process: subprocess.Popen, address: str, log: Path, seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"MLServer did not start:\n{log.read_text()[-2000:]}")
