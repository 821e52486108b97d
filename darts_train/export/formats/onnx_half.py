"""The format `onnx-fp16`: weights and arithmetic of the network in half precision, its input and output in single.

What the graph does besides the network stays in single precision: a code of 65534 is beyond half's range. On a CPU ONNX
Runtime computes most operators in single precision, and leaves what is between them in it too, unless somebody wants to
see that: so the comparison has every value in half precision looked at. It is then rounded, and overflows, as on a
device, and the difference that is stated is a device's to within its order of summation.
"""

from typing import Any

import numpy as np
import onnx

from darts_train.base.errors import UserError
from darts_train.export.description import describe
from darts_train.export.formats.protocol import ExportError, Written
from darts_train.export.graphs.graph import Graph, graph_of
from darts_train.export.graphs.onnx import check_opset, runner, set_metadata, to_onnx
from darts_train.export.graphs.onnx_graph import surround
from darts_train.models.model_file import LoadedModel
from darts_train.options.exporting import Export

HALF_TOLERANCE = 0.05  # of the largest logit; measured: 0.001 to 0.002 (a half has 11 bits)
LARGEST_HALF = 65504.0
OVERFLOW = "its values leave the range of half precision (65504); export it with --format onnx"


class OnnxHalf:
    """Writes one ONNX file in half precision."""

    suffix = ".onnx"

    def __call__(self, model: LoadedModel, settings: Export) -> Written:
        """See `Writer`. Raises UserError where the network's values leave the range of half precision."""
        check_opset(settings.opset)
        graph = graph_of(model, settings)
        single, _, free = to_onnx(model, settings.opset, Graph(model))
        require_free(graph, free)
        proto = halved(single)
        surround(proto, graph)
        difference = graph.difference(runner(_looked_at(proto)), graph.free_shapes() if free else graph.fixed_shapes())
        if difference == float("inf"):
            raise UserError(f"--format onnx-fp16: {model.arch} with {model.encoder}: {OVERFLOW}.")
        if difference > HALF_TOLERANCE:
            raise ExportError(f"half precision differs by {difference:.3g} (tolerance {HALF_TOLERANCE:g}).")
        facts = {"precision": "float16"}
        set_metadata(proto, {**describe(model, difference, free), **graph.facts(), **facts})
        return Written(proto.SerializeToString(), difference, free, facts=facts, described=True)


def require_free(graph: Graph, free: bool) -> None:
    """Raise UserError where a graph is to pad, and its network takes one size only."""
    if graph.step and not free:
        model = graph.model
        raise UserError(
            f"--graph-padding: {model.arch} with {model.encoder} is exported for {model.side} pixels alone."
        )


def halved(proto: Any) -> Any:
    """A model in half precision with input and output in single; weights beyond its range are refused.

    Raises UserError for a weight above 65504. Those below 6e-8 become that.
    """
    from onnxruntime.transformers.float16 import convert_float_to_float16

    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and _largest(onnx.numpy_helper.to_array(tensor)) > LARGEST_HALF:
            raise UserError(f"--format onnx-fp16: {tensor.name}: {OVERFLOW}.")
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    converted = convert_float_to_float16(copy, keep_io_types=True)
    _sort(converted.graph)
    onnx.checker.check_model(converted)
    return converted


def _looked_at(proto: Any) -> Any:
    """A copy in which every value is an output, so that the runtime makes it in the type that the graph says."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    known = {value.name for value in copy.graph.output}
    names = [name for node in copy.graph.node for name in node.output if name and name not in known]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def _sort(graph: Any) -> None:
    """Put every node behind those whose results it takes: the converter appends its casts at the end."""
    waiting, known = list(graph.node), {"", *(value.name for value in (*graph.input, *graph.initializer))}
    ordered: list[Any] = []
    while waiting:
        later: list[Any] = []
        for node in waiting:
            ready = all(name in known for name in (*node.input, *_captured(node)))
            (ordered if ready else later).append(node)
            if ready:
                known.update(node.output)
        assert len(later) < len(waiting), "the graph has a circle"
        waiting = later
    del graph.node[:]
    graph.node.extend(ordered)


def _captured(node: Any) -> list[str]:
    """Names that the branches of a node take from around it."""
    graphs = [entry.g for entry in node.attribute if entry.HasField("g")]
    taken = [name for graph in graphs for one in graph.node for name in (*one.input, *_captured(one))]
    made = {name for graph in graphs for one in graph.node for name in one.output}
    made |= {value.name for graph in graphs for value in (*graph.input, *graph.initializer)}
    return [name for name in taken if name not in made]


def _largest(weights: np.ndarray) -> float:
    """Greatest magnitude of what is finite: masks of attention hold infinities, which half precision knows."""
    return float(np.abs(weights[np.isfinite(weights)]).max(initial=0))


write = OnnxHalf()
