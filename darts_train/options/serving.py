"""Options of models on inference servers: a repository for Triton, and maps made by a server."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option


@dataclass(frozen=True, kw_only=True)
class ServedModel(OptionGroup):
    """A model in a repository, and how the server runs it."""

    model: Path = option("ONNX, TensorRT (.plan, .engine) or TorchScript (.pt) file.")
    out: Path = option("Model repository: the directory that the server is given.")
    name: str = option("Name of the model on the server.")
    facts: Path | None = option(
        "What says bands and classes (model file, ONNX, JSON); none: what holds the model.", None
    )
    version: int | None = option("Version to write; none: one after the newest.", None, low=1, high=2**31)
    max_batch: int = option("Windows that the server runs at once, at most; an engine's own limit.", 4, low=1)
    instances: int = option("Copies of the model that run beside each other, on each device.", 1, low=1, high=1024)
    instance_threads: int = option("Threads of a copy on the CPU; 0: as many as there are cores.", 0, low=0)
    serve_size: int | None = option("Side of the images that it takes, pixels; none: as its file says.", None, low=1)
    use_gpus: bool = option("Run on the GPUs of the server.", False)


@dataclass(frozen=True, kw_only=True)
class TritonContainer(OptionGroup):
    """The container that serves the repository."""

    docker_version: str = option("Tag of the Triton image.", "24.12-py3")
    container_name: str = option("Name of the container.", "darts-triton")
    http_port: int = option("Port for HTTP.", 8000, low=1, high=65535)
    grpc_port: int = option("Port for gRPC.", 8001, low=1, high=65535)
    run: bool = option("Start the container, and stay until it ends.", False)


@dataclass(frozen=True, kw_only=True)
class RemoteModel(OptionGroup):
    """A model on a server that speaks KServe v2 (Triton, MLServer, OpenVINO and others)."""

    url: str = option("HOST:PORT of the server; with https:// before it, encrypted.", "localhost:8000")
    protocol: Literal["http", "grpc"] = option("How to talk to it.", "http")
    model_name: str = option("Name of the model on the server.")
    model_version: int | None = option("Version of the model; none: the server's choice.", None, low=1)
    model: Path | None = option("What says bands and classes (model file, ONNX, JSON); none: the server.", None)
    binary: bool = option("Send numbers as bytes over HTTP where the server takes them; else as JSON.", True)
    wait_seconds: float = option("Wait so long for the server and the model.", 10.0, low=0)
    timeout: float = option("Seconds within which a request is answered.", 60.0, above=0)
    retries: int = option("Send a request that failed again so many times.", 3, low=0)
    concurrent: int = option("Requests at once, of those windows that are a step.", 1, low=1, high=256)
    dry_run: bool = option("Only say what would be done: windows, pixels, disk.", False)
