"""What a served network takes and gives: from the graph of an ONNX file, else from what is said of the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from darts_train.base.errors import UserError
from darts_train.models.facts import ModelFacts

Platform = Literal["onnxruntime_onnx", "tensorrt_plan", "pytorch_libtorch"]
PLATFORMS: dict[str, tuple[Platform, str, str]] = {  # suffix: platform, backend, name of the file in a version
    ".onnx": ("onnxruntime_onnx", "onnxruntime", "model.onnx"),
    ".plan": ("tensorrt_plan", "tensorrt", "model.plan"),
    ".engine": ("tensorrt_plan", "tensorrt", "model.plan"),
    ".pt": ("pytorch_libtorch", "pytorch", "model.pt"),
}
FREE = -1
TYPES = {"FLOAT": "TYPE_FP32", "FLOAT16": "TYPE_FP16", "UINT16": "TYPE_UINT16", "UINT8": "TYPE_UINT8"}


@dataclass(frozen=True)
class Tensor:
    """An input or output with all its sides, the batch first; FREE where any will do."""

    name: str
    type: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Served:
    """A network as a server sees it: `inputs`, `outputs`, and whether any batch will do."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @property
    def batches(self) -> bool:
        """Whether windows of several requests can be put together."""
        return all(one.shape[:1] == (FREE,) for one in (*self.inputs, *self.outputs))


def onnx_tensors(path: Path) -> Served:
    """What the graph of an ONNX file says. Raises UserError where it is none, or holds types that are not served."""
    import onnx

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf and onnx have classes of their own
        raise UserError(f"--model: {path} is no ONNX model ({' '.join(str(error).split())[:120]}).") from None
    weights = {one.name for one in graph.initializer}
    taken = [_onnx_tensor(value, path) for value in graph.input if value.name not in weights]
    if any(one.external_data for one in graph.initializer):
        raise UserError(f"--model: {path} keeps its weights in other files; export it as one file.")
    return Served(tuple(taken), tuple(_onnx_tensor(value, path) for value in graph.output))


def _onnx_tensor(value: Any, path: Path) -> Tensor:
    import onnx

    kind = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
    if kind not in TYPES:
        raise UserError(f"--model: {path}: {value.name} is {kind.lower()}; {', '.join(TYPES).lower()} are served.")
    sides = value.type.tensor_type.shape.dim
    return Tensor(value.name, TYPES[kind], tuple(int(side.dim_value) or FREE for side in sides))


def told_tensors(platform: Platform, facts: ModelFacts, size: int | None) -> Served:
    """What is said of a network whose file cannot be looked into; images of one side where `size` says so.

    TorchScript knows no names: Triton counts arguments and results by the number after two underscores.
    """
    names = ("INPUT__0", "OUTPUT__0") if platform == "pytorch_libtorch" else ("image", "logits")
    least, most = engine_ends(facts)
    side = FREE if facts.free_sizes or least[2:] != most[2:] else facts.fit.side(facts.patch_size)
    channels = (len(facts.spec.bands), facts.channels)
    shapes: Sequence[tuple[int, ...]] = [(FREE, count, side, side) for count in channels]
    found = [(Tensor(name, "TYPE_FP32", shape),) for name, shape in zip(names, shapes, strict=True)]
    return with_side(Served(*found), size)


def engine_ends(facts: ModelFacts) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Least and greatest shape [n, c, h, w] that an engine was built for; empty where nothing says so.

    Raises UserError where what is said cannot be read.
    """
    told = facts.plain.get("tensorrt") or {}
    try:
        least, most = (tuple(map(int, told.get(end, ()))) for end in ("minShapes", "maxShapes"))
    except (AttributeError, TypeError, ValueError):
        raise UserError("what is said of the engine's shapes (tensorrt) cannot be read.") from None
    return least, most


def with_side(served: Served, size: int | None) -> Served:
    """The same for images of one side alone. Raises UserError where the file has another."""
    if size is None:
        return served
    parts = [tuple(_fixed(one, size) for one in tensors) for tensors in (served.inputs, served.outputs)]
    return Served(*parts)


def _fixed(tensor: Tensor, size: int) -> Tensor:
    if len(tensor.shape) != 4:
        return tensor
    if any(side not in (FREE, size) for side in tensor.shape[2:]):
        raise UserError(f"--serve-size: {size} is not what {tensor.name} is made for, {list(tensor.shape)}.")
    return Tensor(tensor.name, tensor.type, (*tensor.shape[:2], size, size))
