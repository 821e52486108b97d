"""A network in 8 bits: static quantisation with ONNX Runtime, ranges of the activations from real patches.

Activations are uint8 with a zero point, weights int8 per output channel, in the form QDQ (the operators stay, with
QuantizeLinear and DequantizeLinear between them), so any runtime can read it. Ranges are the least and greatest value
that an activation had on the patches. Weights keep all 8 bits: processors with VNNI (Cascade Lake, Zen 4 and later)
add up 8-bit products without saturation; older ones may lose some more than what is measured here.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quant_pre_process,
    quantize_static,
)

from darts_train.base.disk_room import told_when_full
from darts_train.base.log import logger
from darts_train.export.graphs.comparison import Logits

_log = logger("export")


def quantised(proto: Any, count: int, image: Callable[[int], Logits]) -> Any:
    """The network in 8 bits.

    Args:
        proto: the network in float32, with one input.
        count: how many images there are to calibrate with.
        image: image float32 [1, c, h, w] of a number below `count`; each is asked for once, and let go.

    Raises NoRoomError where there is no room for its passing files.
    """
    with (
        told_when_full(Path(tempfile.gettempdir())),
        tempfile.TemporaryDirectory(prefix="darts-int8-") as place,
        _quiet(),
    ):
        prepared, result = Path(place) / "prepared.onnx", Path(place) / "int8.onnx"
        _prepare(proto, prepared)
        quantize_static(
            prepared,
            result,
            _Reader(proto.graph.input[0].name, count, image),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=False,
            calibrate_method=CalibrationMethod.MinMax,
        )
        found = onnx.load(str(result))
    _as_before(found, proto)
    onnx.checker.check_model(found)
    return found


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Hands the quantiser one image after the other."""

    def __init__(self, name: str, count: int, image: Callable[[int], Logits]) -> None:
        self.name, self.images = name, map(image, range(count))

    def get_next(self) -> dict[str, Logits] | None:
        """The next image; None behind the last."""
        found = next(self.images, None)
        return None if found is None else {self.name: found}


def _prepare(proto: Any, path: Path) -> None:
    """Write the network with shapes inferred, and its batch normalisations folded into convolutions.

    The inference of symbolic shapes stops at some products of matrices whose sizes are free; then it goes without.
    It is handed a file: of a model in memory the preparation may take the weights away, and `proto` is used again.
    """
    original = path.with_name("original.onnx")
    original.write_bytes(proto.SerializeToString())
    try:
        quant_pre_process(original, path, auto_merge=True)
    except Exception as error:  # assertions, and what sympy raises
        _log.debug("symbolic shapes: %s", error)
        quant_pre_process(original, path, skip_symbolic_shape=True)


def _as_before(proto: Any, original: Any) -> None:
    """Input and output as they were declared, and no trace of the tools."""
    for now, before in ((proto.graph.input, original.graph.input), (proto.graph.output, original.graph.output)):
        del now[:]
        now.extend(before)
    del proto.graph.value_info[:]
    del proto.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing of the quantiser's in the log: it writes to the root logger, and would set that up where it is bare."""
    nowhere, root = logging.NullHandler(), logging.getLogger()
    level = root.level
    root.addHandler(nowhere)
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.removeHandler(nowhere)
        root.setLevel(level)
