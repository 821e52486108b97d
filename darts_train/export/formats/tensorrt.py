"""The format `tensorrt`: an engine for one kind of GPU, built of the ONNX file by TensorRT where there is one.

Where there is neither the package `tensorrt` nor the program trtexec, nothing is built, and the command that would
build it is said.
"""

import tempfile
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.export.formats.protocol import ExportError, Written
from darts_train.export.formats.tensorrt_command import Shapes, as_text, docker_command, shapes_for, trtexec_command
from darts_train.export.formats.tensorrt_engine import Builder, builder_here
from darts_train.export.graphs.comparison import Shape, small_size
from darts_train.export.graphs.graph import Graph, graph_of
from darts_train.export.graphs.onnx import IMAGE, check_opset, to_onnx
from darts_train.models.model_file import LoadedModel
from darts_train.options.exporting import Export

TOLERANCES = {False: 1e-2, True: 5e-2}  # of logits, by half precision; "single" is TF32 on the GPUs of today
_log = logger("export")


class TensorRt:
    """Writes an engine."""

    suffix = ".plan"

    def __call__(self, model: LoadedModel, settings: Export) -> Written:
        """See `Writer`."""
        check_opset(settings.opset)
        graph = graph_of(model, settings)
        shapes = engine_shapes(graph, settings)
        builder = builder_here()
        if builder is None:
            raise _nothing_built(settings, shapes)
        proto, difference, free = to_onnx(model, settings.opset, graph)
        if settings.tensorrt_side and not free:
            raise UserError(f"--tensorrt-side: {model.arch} is exported for {model.side} pixels alone; leave it out.")
        with tempfile.TemporaryDirectory() as directory:
            plan = builder.build(proto.SerializeToString(), shapes, settings.tensorrt_fp16, Path(directory))
            found, note = _compared(builder, plan, graph, shapes, settings.tensorrt_fp16, Path(directory))
        facts = {**graph.facts(), **_facts(shapes, settings, builder, found is not None)}
        return Written(plan, difference if found is None else found, False, (note,), facts)


def engine_shapes(graph: Graph, settings: Export) -> Shapes:
    """Which shapes the engine is for. Raises UserError for a greatest side that the network does not take."""
    model, most = graph.model, settings.tensorrt_side
    bands = len(model.spec.bands)
    if most is None:
        return shapes_for(bands, model.side, settings.tensorrt_batch)
    step = 1 if graph.step else small_size(model) // 2 or 1
    if most < model.side or most % step:
        raise UserError(f"--tensorrt-side: {most} is no multiple of {step} from the patches' {model.side} on.")
    return shapes_for(bands, model.side, settings.tensorrt_batch, (min(small_size(model), model.side), most))


def _nothing_built(settings: Export, shapes: Shapes) -> UserError:
    """What to say, with both commands, where TensorRT is not here."""
    onnx, fp16 = settings.out.with_suffix(".onnx"), settings.tensorrt_fp16
    container = docker_command(onnx, settings.out, IMAGE, shapes, fp16, settings.docker_version)
    _log.info("in NVIDIA's container: %s", as_text(container))
    return UserError(
        "--format tensorrt: there is neither trtexec nor the package tensorrt here, so nothing was built. "
        f"Export with --format onnx --out {onnx}, then run where there is a GPU:\n"
        f"{as_text(trtexec_command(onnx, settings.out, IMAGE, shapes, fp16))}"
    )


def _compared(
    builder: Builder, plan: bytes, graph: Graph, shapes: Shapes, fp16: bool, directory: Path
) -> tuple[float | None, str]:
    """Largest difference of the engine from torch, and a note; None where the engine could not be run.

    Raises ExportError where it says something else than the network.
    """
    ends: list[Shape] = [(one[0], *one[2:]) for one in dict.fromkeys(shapes.named().values())]
    try:
        found = graph.difference(builder.runner(plan, directory), ends)
    except Exception as error:  # of drivers, files, versions: the engine is there, and no worse for it
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return None, f"built by {builder.name}; the engine was not compared, only the ONNX it is of ({reason[:120]})"
    if not found <= TOLERANCES[fp16]:
        raise ExportError(
            f"the engine and torch differ by {found:.3g} (tolerance {TOLERANCES[fp16]:g}); nothing was written."
        )
    return found, f"built by {builder.name}, compared with torch at {len(ends)} shapes"


def _facts(shapes: Shapes, settings: Export, builder: Builder, compared: bool) -> dict[str, Any]:
    ends = {word: list(shape) for word, shape in shapes.named().items()}
    return {"tensorrt": {**ends, "fp16": settings.tensorrt_fp16, "built_by": builder.name, "compared": compared}}


write = TensorRt()
