"""A small ONNX network that says what it is, and a server of it that speaks KServe v2 over HTTP, with faults on demand.

The server reads and writes the protocol by hand, so that the client's form of it is not judged by itself.
"""

import json
import time
from collections import deque
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from darts_train.models.input_spec import InputSpecification
from darts_train.raster.band import Band

BANDS = tuple(
    Band(name, 1e-4, 0.0, 0.0, 1.0, optical=True) for name in ("blue", "green", "red", "nir", "swir16", "swir22")
)
HEADER = "Inference-Header-Content-Length"


def facts(classes=("background", "cloud"), **changes):
    """What an export says of such a network."""
    return {
        **InputSpecification(BANDS, 0.0).to_config(),
        "classes": list(classes),
        "threshold": 0.5,
        "patch_size": 32,
        "stride": 8,
        "free_sizes": True,
        "source": {"scale": 1e-4},
    } | changes


def write_onnx(
    path: Path, classes=("background", "cloud"), said=None, batch="batch", side=None, activated=False
) -> Path:
    """A convolution of 3 × 3 over six bands, so that neighbours and borders matter."""
    count = 1 if len(classes) == 2 else len(classes)
    weights = np.random.default_rng(0).normal(0, 2, (count, len(BANDS), 3, 3)).astype(np.float32)
    sides = [side, side] if side else ["height", "width"]
    values = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch, channels, *sides])
        for name, channels in (("image", len(BANDS)), ("logits", count))
    ]
    found = "raw" if activated else "logits"
    nodes = [helper.make_node("Conv", ["image", "w"], [found], pads=[1, 1, 1, 1])]
    nodes += [helper.make_node("Sigmoid", [found], ["logits"])] * activated
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    told = facts(classes) if said is None else said
    helper.set_model_props(model, {k: v if isinstance(v, str) else json.dumps(v) for k, v in told.items()})
    onnx.save(model, path)
    return path


class Served:
    """A served network. `faults` are answered first, one a request: a status, bytes, or seconds of silence.

    `metadata`, `config`, `server`, `change` (of the logits) and `ready` may be replaced. `sizes` are the batches that
    were asked for, `kinds` whether they came as bytes, in `bodies`; requests wait for each other at `meeting`.
    """

    def __init__(self, model: Path) -> None:
        self.session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        image, logits = (
            [tensor.name, tensor.shape] for tensor in (*self.session.get_inputs(), *self.session.get_outputs())
        )
        self.metadata = {
            "name": "net",
            "versions": ["1"],
            "platform": "onnxruntime_onnx",
            "inputs": [_declared(*image)],
            "outputs": [_declared(*logits)],
        }
        self.server = {"name": "loopback", "extensions": ["binary_tensor_data"]}
        self.config, self.ready, self.change = None, True, lambda logits: logits
        self.faults, self.sizes, self.kinds, self.bodies = deque(), [], [], []
        self.lock, self.meeting = Lock(), None

    def infer(self, body: bytes, header: str | None) -> tuple[bytes, dict[str, str]]:
        length = int(header) if header else len(body)
        request = json.loads(body[:length])
        (given,), (wanted,) = request["inputs"], request["outputs"]
        size = given.get("parameters", {}).get("binary_data_size")
        if size is None:
            values = np.array(given["data"], np.float32)
        else:
            assert len(body) == length + size
            values = np.frombuffer(body[length:], "<f4")
        image = values.reshape(given["shape"])
        with self.lock:
            self.sizes.append(len(image))
            self.kinds.append(size is not None)
            self.bodies.append(body)
        logits = self.change(self.session.run(None, {"image": image})[0])
        answer = {"name": wanted["name"], "datatype": "FP32", "shape": list(logits.shape)}
        if not wanted["parameters"]["binary_data"]:
            text = json.dumps({"model_name": "net", "outputs": [answer | {"data": logits.ravel().tolist()}]})
            return text.encode(), {}
        raw = logits.astype("<f4").tobytes()
        answer["parameters"] = {"binary_data_size": len(raw)}
        text = json.dumps({"model_name": "net", "outputs": [answer]}).encode()
        return text + raw, {HEADER: str(len(text))}


def _declared(name, shape):
    return {"name": name, "datatype": "FP32", "shape": [side if isinstance(side, int) else -1 for side in shape]}


@contextmanager
def serve(model: Path):
    """A Served and its HOST:PORT."""
    site = Served(model)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            if "/ready" in self.path:
                return self.send(200 if site.ready else 503, b"")
            wanted = {"/v2": site.server}.get(self.path, site.metadata)
            found = site.config if self.path.endswith("/config") else wanted
            if found is None:
                return self.send(404, b'{"error": "no such thing"}')
            return self.send(200, found if isinstance(found, bytes) else json.dumps(found).encode())

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with site.lock:
                fault = site.faults.popleft() if site.faults else None
            if site.meeting:
                site.meeting.wait(30)
            if isinstance(fault, int):
                return self.send(fault, b'{"error": "out of order"}')
            if isinstance(fault, bytes):
                return self.send(200, fault)
            if isinstance(fault, float):
                time.sleep(fault)
            return self.send(200, *site.infer(body, self.headers.get(HEADER)))

        def send(self, status, body, headers=None):
            try:
                self.send_response(status)
                for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # the client did not wait

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield site, f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
