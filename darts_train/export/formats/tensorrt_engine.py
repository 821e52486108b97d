"""TensorRT itself, by its Python package or by its program trtexec: ONNX in, an engine out, images through it."""

import json
import subprocess
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from shutil import which
from typing import Any, Protocol

import numpy as np
import torch

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.export.formats.tensorrt_command import Shapes, run_command, trtexec_command
from darts_train.export.graphs.comparison import Logits
from darts_train.export.graphs.onnx import IMAGE, LOGITS

_log = logger("export")


class Builder(Protocol):
    """What builds engines here. `name` is for people."""

    name: str

    def build(self, onnx: bytes, shapes: Shapes, fp16: bool, directory: Path) -> bytes:
        """The engine of an ONNX file. Raises UserError where TensorRT cannot build it."""
        ...

    def runner(self, plan: bytes, directory: Path) -> Callable[[Logits], Logits]:
        """A function image → logits that runs an engine. What it raises says that it could not be run."""
        ...


def builder_here() -> Builder | None:
    """The package where it is installed, else trtexec where it is on PATH, else None."""
    try:
        return PackageBuilder()
    except (ImportError, OSError) as error:  # not installed, or without the libraries that it is of
        _log.debug("the package tensorrt: %s", error)
    return TrtexecBuilder() if which("trtexec") else None


class TrtexecBuilder:
    """NVIDIA's program on PATH."""

    name = "trtexec"

    def build(self, onnx: bytes, shapes: Shapes, fp16: bool, directory: Path) -> bytes:
        """See `Builder`."""
        source, plan = directory / "model.onnx", directory / "model.plan"
        source.write_bytes(onnx)
        self._run(trtexec_command(source, plan, IMAGE, shapes, fp16))
        if not plan.is_file():
            raise UserError("--format tensorrt: trtexec left no engine behind; nothing was written.")
        return plan.read_bytes()

    def runner(self, plan: bytes, directory: Path) -> Callable[[Logits], Logits]:
        """See `Builder`. Values go through files."""
        engine, data, result = (directory / name for name in ("model.plan", "image.bin", "result.json"))
        engine.write_bytes(plan)

        def run(image: Logits) -> Logits:
            data.write_bytes(np.ascontiguousarray(image, np.float32).tobytes())
            self._run(run_command(engine, IMAGE, image.shape, data, result))
            return read_output(result.read_text())

        return run

    def _run(self, command: Sequence[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        _log.debug("%s", done.stdout)
        if done.returncode:
            last = next((line for line in reversed((done.stderr + done.stdout).splitlines()) if line.strip()), "")
            raise UserError(
                f"--format tensorrt: trtexec failed with exit code {done.returncode}, nothing was written: "
                f"{last.strip()[:200]}"
            )


def read_output(text: str) -> Logits:
    """Logits float32 of what `trtexec --exportOutput` writes: a list of tables name, dimensions, values.

    Raises ValueError, KeyError or TypeError where the text is anything else.
    """
    entry = next((one for one in json.loads(text) if one["name"] == LOGITS), None)
    if entry is None:
        raise KeyError(LOGITS)
    shape = [int(side) for side in str(entry["dimensions"]).split("x")]
    return np.asarray(entry["values"], np.float32).reshape(shape)


class PackageBuilder:
    """The package `tensorrt`, from its version 8.5 on."""

    def __init__(self) -> None:
        self.trt: Any = import_module("tensorrt")
        self.name = f"tensorrt {self.trt.__version__}"
        self.logger = self.trt.Logger(self.trt.Logger.ERROR)

    def build(self, onnx: bytes, shapes: Shapes, fp16: bool, directory: Path) -> bytes:
        """See `Builder`."""
        builder = self.trt.Builder(self.logger)
        network = builder.create_network(self._explicit_batch())
        parser = self.trt.OnnxParser(network, self.logger)
        if not parser.parse(onnx):
            raise UserError(f"--format tensorrt: TensorRT cannot read this network: {parser.get_error(0)}")
        config = builder.create_builder_config()
        profile = builder.create_optimization_profile()
        profile.set_shape(IMAGE, shapes.least, shapes.usual, shapes.greatest)
        config.add_optimization_profile(profile)
        if fp16:
            config.set_flag(self.trt.BuilderFlag.FP16)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise UserError("--format tensorrt: TensorRT built no engine of this network; nothing was written.")
        return bytes(plan)

    def _explicit_batch(self) -> int:
        """The flag that versions before 10 want and later ones have dropped."""
        flag = getattr(self.trt.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)
        return 0 if flag is None else 1 << int(flag)

    def runner(self, plan: bytes, directory: Path) -> Callable[[Logits], Logits]:
        """See `Builder`. Runs on torch's current CUDA device."""
        engine = self.trt.Runtime(self.logger).deserialize_cuda_engine(plan)
        context = engine.create_execution_context()

        def run(image: Logits) -> Logits:
            given = torch.from_numpy(np.ascontiguousarray(image)).cuda()
            context.set_input_shape(IMAGE, tuple(image.shape))
            found = torch.empty(tuple(context.get_tensor_shape(LOGITS)), device="cuda")
            for name, tensor in ((IMAGE, given), (LOGITS, found)):
                context.set_tensor_address(name, tensor.data_ptr())
            if not context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
                raise RuntimeError("TensorRT did not run the engine")
            torch.cuda.synchronize()
            logits: Logits = found.cpu().numpy()
            return logits

        return run
