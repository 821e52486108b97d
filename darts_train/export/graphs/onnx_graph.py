"""What a graph does besides the network (`graph.py`), as nodes of ONNX around those of the network.

They are put there after the network was exported, and halved or quantised: a code does not fit into half precision,
and torch's exporter cannot prove of padded sizes what skip connections need.
"""

from typing import Any

import numpy as np
import onnx

from darts_train.export.graphs.graph import Graph, multipliers
from darts_train.models.normalisation import OF_SAMPLE, PERCENTS
from darts_train.raster.band import NODATA

_PREFIX = "darts_"  # of names, which the exporter's never begin with

_MISSING = {
    "values": "missing = IsNaN(image)",
    "codes": "nan = IsNaN(image)  marked = Equal(image, nodata)  missing = Or(nan, marked)",
}
_BY_RANGE = "scaled = Mul(image, multiplier)  shifted = Add(scaled, bias)"
_BY_SAMPLE = """
    span = Sub(high, low)  varied = Greater(span, zero)
    above = Sub(image, low)  quotient = Div(above, span)  shifted = Where(varied, quotient, zero)
"""
_ENDS = """
    behind = Where(missing, infinity, image)  low = ReduceMin<keepdims=1>(behind, sides)
    before = Where(missing, minus_infinity, image)  high = ReduceMax<keepdims=1>(before, sides)
"""
_SORTED = """
    behind = Where(missing, infinity, image)  line = Reshape(behind, flat)
    length = Shape<start=2>(line)  ordered, places = TopK<axis=2, largest=0, sorted=1>(line, length)
    known = Not(missing)  ones = Cast<to=7>(known)  counts = ReduceSum<keepdims=1>(ones, sides)
    less = Sub(counts, one_integer)  last_place = Max(less, zero_integer)  last = Squeeze(last_place, last_side)
"""
_PERCENTILE = """
    {end}_rank = Mul(last, {end}_percent)  {end}_below = Div({end}_rank, hundred_integer)
    {end}_next = Add({end}_below, one_integer)  {end}_above = Min({end}_next, last)
    {end}_first = GatherElements<axis=2>(ordered, {end}_below)
    {end}_second = GatherElements<axis=2>(ordered, {end}_above)
    {end}_mod = Mod({end}_rank, hundred_integer)  {end}_rest = Cast<to=1>({end}_mod)
    {end}_step = Sub({end}_second, {end}_first)  {end}_part = Mul({end}_step, {end}_rest)
    {end}_share = Div({end}_part, hundred)  {end}_line = Add({end}_first, {end}_share)
    {end} = Unsqueeze({end}_line, last_side)
"""
_FILLED = "seen = Where(missing, fill, {shifted})"
_CLIPPED = "clipped = Clip(shifted, zero, one)"
_SIZE = "size = Shape<start=2>(image)"
_PADDED = """
    more = Add(size, step_less_one)  times = Div(more, step)  multiple = Mul(times, step)
    target = Max(multiple, least)  further = Sub(target, size)
    pads = Concat<axis=0>(no_pads, further)  padded = Pad({seen}, pads, fill)
"""
_CROPPED = "cropped = Slice(given, origin, size, sides)"
_ACTIVATIONS = {"sigmoid": "probabilities = Sigmoid({found})", "softmax": "probabilities = Softmax<axis=1>({found})"}


def surround(proto: Any, graph: Graph) -> None:
    """Put the nodes of a graph around those of a network, in place. Input and output keep their names."""
    if graph.plain:
        return
    image, result = proto.graph.input[0].name, proto.graph.output[0].name
    before, seen = _before(graph)
    after, found = _after(graph)
    opset = next(entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx"))
    first = [_named(node, {"image": image}) for node in _nodes(before, opset)]
    last = [_named(node, {"given": _PREFIX + "given", found: result}) for node in _nodes(after, opset)]
    middle = list(proto.graph.node)
    for node in middle:
        _rename(node.input, image, image if seen == "image" else _PREFIX + seen)
        if last:
            _rename(node.input, result, _PREFIX + "given")
            _rename(node.output, result, _PREFIX + "given")
    del proto.graph.node[:]
    proto.graph.node.extend([*first, *middle, *last])
    used = {name for node in (*first, *last) for name in node.input}
    proto.graph.initializer.extend(one for one in _constants(graph) if one.name in used)
    if graph.activated or graph.step:
        del proto.graph.value_info[:]  # of sizes that are others now
    onnx.checker.check_model(proto)


def _before(graph: Graph) -> tuple[str, str]:
    """Nodes from `image` to what the network sees, and the name of that."""
    text, seen = "", "image"
    spec = graph.model.spec
    if graph.input != "normalised":
        text += _MISSING[graph.input] + _scaling(spec.normalisation)
        text += _CLIPPED if spec.clipped else ""
        text += _FILLED.format(shifted="clipped" if spec.clipped else "shifted")
        seen = "seen"
    if graph.step:
        text += _SIZE + _PADDED.format(seen=seen)
        seen = "padded"
    return text, seen


def _scaling(kind: str) -> str:
    if kind not in OF_SAMPLE:
        return "  " + _BY_RANGE + "  "
    ends = _ENDS
    if kind == "sample-quantile":
        ends = _SORTED + _PERCENTILE.format(end="low") + _PERCENTILE.format(end="high")
    return ends + _BY_SAMPLE


def _after(graph: Graph) -> tuple[str, str]:
    """Nodes from `given`, the network's logits, to the result, and the name of that."""
    text, found = "", "given"
    if graph.step:
        text, found = _CROPPED, "cropped"
    if graph.activated:
        kind = "sigmoid" if len(graph.model.classes) == 2 else "softmax"
        text, found = text + "  " + _ACTIVATIONS[kind].format(found=found), "probabilities"
    return text, found


def _nodes(text: str, opset: int) -> list[Any]:
    if not text.strip():
        return []
    statements = " ".join(text.split()).replace(") ", ")\n")
    whole = (
        f'<ir_version: 10, opset_import: ["" : {opset}]> g (float[n] image) => (float[n] image) {{\n{statements}\n}}'
    )
    return list(onnx.parser.parse_model(whole).graph.node)


def _named(node: Any, known: dict[str, str]) -> Any:
    """The node with its names prefixed, but for those of input and output."""
    for names in (node.input, node.output):
        names[:] = [known.get(name, _PREFIX + name) for name in names]
    node.name = _PREFIX + node.op_type + "_" + node.output[0].removeprefix(_PREFIX)
    return node


def _rename(names: Any, old: str, new: str) -> None:
    names[:] = [new if name == old else name for name in names]


def _constants(graph: Graph) -> list[Any]:
    """All that a node may ask for, by name."""
    spec = graph.model.spec
    multiplier, bias = multipliers(spec, graph.input)
    low, high = PERCENTS.get(spec.normalisation, (0, 100))
    floats = {
        "multiplier": multiplier, "bias": bias, "fill": spec.nodata_fill, "nodata": NODATA, "zero": 0, "one": 1,
        "hundred": 100, "infinity": np.inf, "minus_infinity": -np.inf,
    }  # fmt: skip
    integers = {
        "step": graph.step, "step_less_one": graph.step - 1, "least": graph.least, "no_pads": [0] * 6,
        "origin": [0, 0], "sides": [2, 3], "last_side": [3], "flat": [0, 0, -1], "hundred_integer": 100,
        "one_integer": 1, "zero_integer": 0, "low_percent": low, "high_percent": high,
    }  # fmt: skip
    arrays = {name: np.asarray(value, np.float32) for name, value in floats.items()}
    arrays |= {name: np.asarray(value, np.int64) for name, value in integers.items()}
    return [onnx.numpy_helper.from_array(value, _PREFIX + name) for name, value in arrays.items()]
