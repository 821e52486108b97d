"""A network as one ONNX file that says by itself how it is to be fed.

Input `image`, float32 [batch, band, height, width], normalised as the metadata say; output `logits`. Batch, height
and width are free where the network lets them (multiples of `stride`); networks with windowed attention are
written for their patch size alone. Input is the normalised image unless `--graph-input` says otherwise (`graph.py`);
the metadata hold scale, offset and range of every band. Where patches were padded or resampled for
the network, the graph takes the image that came of it, and `fit` and `fit_size` say how (`models/fit.py`).
"""

import json
import warnings
from collections.abc import Callable
from typing import Any

import onnx
import onnxruntime
import torch
from torch import nn

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.export.formats.protocol import ExportError
from darts_train.export.graphs.comparison import TOLERANCE, Logits, free_shapes, reference, sample_image
from darts_train.export.graphs.graph import Graph
from darts_train.export.graphs.onnx_graph import surround
from darts_train.export.graphs.pools import with_matrix_pools
from darts_train.models.model_file import LoadedModel

LOWEST_OPSET = 18  # what torch's exporter writes; its conversion to older sets fails without saying so
LARGEST_FILE = 2**31 - 2**24  # of a protobuf, less room for the graph
IMAGE, LOGITS = "image", "logits"
FREE_AXES = {0: "batch", 2: "height", 3: "width"}
_log = logger("export")


def check_opset(opset: int) -> None:
    """Raise UserError, naming those that work, where an operator set cannot be written or run here."""
    known = [number for number in range(LOWEST_OPSET, onnx.defs.onnx_opset_version() + 1) if _runs(number)]
    if opset not in known:
        raise UserError(f"--opset: {opset} cannot be written and checked here; use {known[0]} to {known[-1]}.")


def check_size(network: nn.Module) -> None:
    """Raise UserError where the weights of a network do not fit into one ONNX file, whose length is a 32-bit number."""
    size = sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))
    if size > LARGEST_FILE:
        raise UserError(
            f"--format: an ONNX file holds at most 2 GB, and the weights take {size / 2**30:.1f}; use torch-export."
        )


def _runs(opset: int) -> bool:
    """Whether ONNX Runtime loads a model of this operator set: asked with one that does nothing."""
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", value[:1], value[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=10)
    try:
        _session(model.SerializeToString())
    except Exception:  # the runtime raises classes of its own that share nothing but Exception
        return False
    return True


def _session(data: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures come as exceptions, and are expected
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def to_onnx(model: LoadedModel, opset: int, graph: Graph | None = None) -> tuple[Any, float, bool]:
    """The ONNX model (a ModelProto without metadata), its largest difference from torch, and whether sizes are free.

    `graph` says what it does besides the network (nothing). Free sizes are tried first and kept where ONNX Runtime
    agrees with torch at all of them. Raises ExportError where it agrees at the patch size neither, and UserError
    where the operator set cannot be written, or the graph is to pad and the network takes one size only.
    """
    graph = graph or Graph(model)
    check_size(model.network)
    if _takes_free_sizes(model):
        proto, found = _free(graph, opset)
        if found <= TOLERANCE:
            return proto, found, True
    if graph.step:
        raise UserError(
            f"--graph-padding: {model.arch} with {model.encoder} is exported for {model.side} pixels alone."
        )
    _log.warning("%s is written for patches of %d pixels alone.", model.arch, model.side)
    proto = build(model, opset, free=False)
    surround(proto, graph)
    found = graph.difference(runner(proto), graph.fixed_shapes())
    if found > TOLERANCE:
        raise ExportError(
            f"ONNX Runtime and torch differ by {found:.3g} (tolerance {TOLERANCE:g}); nothing was written."
        )
    return proto, found, False


def _free(graph: Graph, opset: int) -> tuple[Any, float]:
    """The model with free sizes and its largest difference; infinite where the exporter gives up on them."""
    try:
        proto = build(graph.model, opset, free=True)
    except UserError:
        raise
    except Exception as error:  # torch.export has a family of classes for sizes that turn out not to be free
        _log.debug("%s with free sizes: %s", graph.model.arch, error)
        return None, float("inf")
    surround(proto, graph)
    return proto, graph.difference(runner(proto), graph.free_shapes())


def _takes_free_sizes(model: LoadedModel) -> bool:
    try:
        for shape in free_shapes(model)[1:]:
            reference(model.network, sample_image(model, shape))
    except UserError:
        return False
    return True


def build(model: LoadedModel, opset: int, free: bool) -> Any:
    """ModelProto of the network, checked by onnx. Raises UserError where the result has another operator set."""
    batch, height, width = (2, *free_shapes(model)[1][1:]) if free else (2, model.side, model.side)
    axes = dict.fromkeys(FREE_AXES if free else [0], torch.export.Dim.DYNAMIC)
    network = _Network(with_matrix_pools(model.network))
    image = sample_image(model, (batch, height, width))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own parts
        # traced before torch.onnx sees it: within an ONNX export the PSPNet of smp bakes in its pools' sizes
        traced = torch.export.export(network, (image,), dynamic_shapes=(axes,), strict=False)
        program = torch.onnx.export(
            traced,
            dynamo=True,
            opset_version=opset,
            input_names=[IMAGE],
            output_names=[LOGITS],
            external_data=False,
            verbose=False,
        )
    assert program is not None  # None belongs to the older exporter
    proto = program.model_proto
    written = next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))
    if written != opset:
        raise UserError(f"--opset: torch cannot write {opset} for this network, only {written}.")
    _name_axes(proto, free)
    onnx.checker.check_model(proto)
    return proto


class _Network(nn.Module):
    """The network with an argument of a known name, whatever the architecture calls its own."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(image)
        return logits


def _name_axes(proto: Any, free: bool) -> None:
    """Name the free axes of input and output, which the exporter calls s77 or 32*((s53 - 1)//32) + 32."""
    for value in (proto.graph.input[0], proto.graph.output[0]):
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if dimension.dim_param and axis in (FREE_AXES if free else {0: ""}):
                dimension.dim_param = FREE_AXES[axis]
    del proto.graph.value_info[:]  # they use the old names


def runner(proto: Any) -> Callable[[Logits], Logits]:
    """A function image → logits that runs the model in ONNX Runtime, on the CPU. A failure there gives NaN."""
    try:
        session = _session(proto.SerializeToString())
    except Exception as error:
        raise ExportError(f"ONNX Runtime cannot load what torch wrote: {error}") from error

    def run(image: Logits) -> Logits:
        try:
            logits: Logits = session.run([LOGITS], {IMAGE: image})[0]
        except Exception as error:  # sizes that were baked in show up here
            _log.debug("ONNX Runtime at %s: %s", image.shape, error)
            return image * float("nan")
        return logits

    return run


def set_metadata(proto: Any, facts: dict[str, Any]) -> None:
    """Write facts into the model's metadata: text as it is, everything else as JSON."""
    onnx.helper.set_model_props(
        proto, {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}
    )
