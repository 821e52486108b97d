"""Nodes around an exported graph that takes values with NaN for no data: what a raster calls no data becomes NaN.

And behind it: the decision threshold of the model moves to the one that the program has, 0.5, by a constant on the
logit (σ(z) > t where σ(z - ln(t / (1 - t))) > ½). Made on the file, after it was compared with torch, and compared
with it again.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from darts_train.export.formats.protocol import ExportError
from darts_train.export.graphs.comparison import Logits
from darts_train.export.graphs.onnx import runner, set_metadata
from darts_train.export.sidecars.counts import Counts

_PREFIX = "sidecar_"
_NEAR = 1e-6  # of the count of no data: programs divide and multiply in float32 on the way
_SAME = 1e-4  # of logits: the dressed graph against the bare one


def logit(probability: float) -> float:
    """ln(p / (1 - p)), for p within (0, 1]; 1 becomes a large number."""
    return math.log(probability) - math.log(max(1 - probability, 1e-12))


def gaps_as_nan(image: Logits, counts: Counts, factor: float = 1.0) -> Logits:
    """The image float32 [n, c, h, w] of `count · factor`, NaN where there is no data: what the nodes do, in NumPy."""
    missing = np.zeros(image.shape, bool)
    if counts.nodata is not None:
        value = np.float32(counts.nodata * factor)
        missing |= np.abs(image - value) <= np.float32(_NEAR * abs(value))
    if counts.zero_is_nodata:
        missing |= (image == 0).all(axis=1, keepdims=True)
    return np.where(missing, np.float32(np.nan), image).astype(np.float32)


def add_gaps(proto: Any, counts: Counts, factor: float = 1.0) -> None:
    """Put the nodes that make NaN of no data before the graph, in place; none where the raster knows no such count."""
    image, first = proto.graph.input[0].name, []
    values: dict[str, Any] = {"nan": np.float32(np.nan)}
    source = image
    if counts.nodata is not None:
        value = np.float32(counts.nodata * factor)
        values |= {"nodata": value, "near": np.float32(_NEAR * abs(value))}
        first += [("Sub", [image, "nodata"], "off"), ("Abs", ["off"], "away")]
        first += [("LessOrEqual", ["away", "near"], "marked"), ("Where", ["marked", "nan", source], "known")]
        source = "known"
    if counts.zero_is_nodata:
        values |= {"bands": np.array([1], np.int64), "zero": np.float32(0)}
        first += [("Abs", [image], "size"), ("ReduceMax", ["size", "bands"], "largest")]
        first += [("Equal", ["largest", "zero"], "empty"), ("Where", ["empty", "nan", source], "seen")]
        source = "seen"
    if first:
        _rewire(proto, image, _PREFIX + source)
        nodes = [_node(*one, known=(image,)) for one in first]
        everything = [*nodes, *proto.graph.node]
        del proto.graph.node[:]
        proto.graph.node.extend(everything)
        _constants(proto, values)


def add_shift(proto: Any, shift: Logits) -> None:
    """Subtract `shift` float32 [k] from the graph's output [n, k, h, w], in place; nothing where it is 0."""
    if not shift.any():
        return
    result = proto.graph.output[0].name
    for node in proto.graph.node:
        node.output[:] = [_PREFIX + "bare" if name == result else name for name in node.output]
        node.input[:] = [_PREFIX + "bare" if name == result else name for name in node.input]
    proto.graph.node.append(_node("Sub", ["bare", "shift"], result, known=(result,)))
    _constants(proto, {"shift": np.asarray(shift, np.float32).reshape(1, -1, 1, 1)})


def fix_size(proto: Any, size: int) -> None:
    """Write one side into the shapes of input and output, in place; the batch stays free."""
    for value in (proto.graph.input[0], proto.graph.output[0]):
        for dimension in value.type.tensor_type.shape.dim[2:]:
            dimension.Clear()
            dimension.dim_value = size
    del proto.graph.value_info[:]


def add_facts(proto: Any, facts: Mapping[str, Any]) -> None:
    """Set metadata beside, or in place of, those that are there."""
    there = {entry.key: entry.value for entry in proto.metadata_props}
    set_metadata(proto, {**there, **{key: json.dumps(value) for key, value in facts.items()}})


def require_same(bare: Any, dressed: Any, image: Logits, counts: Counts, shift: Logits, factor: float = 1.0) -> None:
    """Raise ExportError where a dressed graph says something else of counts than the bare one of values.

    `image` float32 [n, c, h, w] holds `count · factor`. Both run in ONNX Runtime.
    """
    expected = runner(bare)(gaps_as_nan(image, counts, factor)) - shift.reshape(1, -1, 1, 1)
    found = runner(dressed)(image)
    worst = float(np.abs(expected - found).max() / max(1.0, float(np.abs(expected).max())))
    if expected.shape != found.shape or not worst <= _SAME:
        raise ExportError(f"the graph for counts differs from the one for values by {worst:.3g}; nothing was written.")


def _node(kind: str, inputs: list[str], output: str, known: tuple[str, ...]) -> Any:
    names = [name if name in known else _PREFIX + name for name in (*inputs, output)]
    return onnx.helper.make_node(kind, names[:-1], names[-1:], name=f"{_PREFIX}{kind}_{output}")


def _rewire(proto: Any, old: str, new: str) -> None:
    for node in proto.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def _constants(proto: Any, values: Mapping[str, Any]) -> None:
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(value), _PREFIX + name) for name, value in values.items()
    )
