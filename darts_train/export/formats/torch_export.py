"""The format `torch-export`: a .pt2 archive of torch.export, for PyTorch without this program and for AOTInductor.

The archive holds weights, a graph of tensor operations and, as the extra file `metadata.json`, what ONNX files have in
their metadata. `torch.export.load(path).module()` gives a module; it takes one positional argument, `image`.
"""

import io
import json
import warnings
from typing import Any

import torch

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.export.description import describe
from darts_train.export.formats.protocol import ExportError, Written
from darts_train.export.formats.torch_modules import METADATA, module_runner, require_one_rule, takes_free_sizes
from darts_train.export.graphs.comparison import TOLERANCE
from darts_train.export.graphs.graph import Graph, graph_of
from darts_train.export.graphs.pools import with_matrix_pools
from darts_train.models.model_file import LoadedModel
from darts_train.options.exporting import Export

_AXES = (0, 2, 3)  # batch, height, width
_log = logger("export")


class TorchExport:
    """Writes a .pt2 archive."""

    suffix = ".pt2"

    def __call__(self, model: LoadedModel, settings: Export) -> Written:
        """See `Writer`."""
        graph = graph_of(model, settings)
        _require_no_padding(graph)
        require_one_rule(graph, "torch.export")
        program, difference, free = to_program(graph)
        facts = {**describe(model, difference, free), **graph.facts(), "torch_version": torch.__version__}
        note = f"written by torch {torch.__version__}; older ones may not read it"
        return Written(saved(program, facts), difference, free, (note,), described=True)


def _require_no_padding(graph: Graph) -> None:
    if graph.step:
        raise UserError(
            "--graph-padding: torch.export cannot prove of padded sizes what skip connections need; "
            "leave it out, or choose onnx or torchscript."
        )


def to_program(graph: Graph) -> tuple[Any, float, bool]:
    """The exported program, its largest difference from torch, and whether sizes are free.

    Free sizes are tried first and kept where the archive, read back, agrees with torch at all of them. Raises
    ExportError where it agrees at the patch size neither.
    """
    if takes_free_sizes(graph):
        try:
            program = exported(graph, free=True)
            found = _difference(program, graph, free=True)
        except Exception as error:  # torch.export has a family of classes for sizes that turn out not to be free
            _log.debug("%s with free sizes: %s", graph.model.arch, error)
        else:
            if found <= TOLERANCE:
                return program, found, True
    _log.warning("%s is written for patches of %d pixels alone.", graph.model.arch, graph.model.side)
    program = exported(graph, free=False)
    found = _difference(program, graph, free=False)
    if found > TOLERANCE:
        raise ExportError(f"the .pt2 and torch differ by {found:.3g} (tolerance {TOLERANCE:g}); nothing was written.")
    return program, found, False


def exported(graph: Graph, free: bool) -> Any:
    """The ExportedProgram, batch free, height and width where wanted. Raises what torch.export raises."""
    shape = (2, *(graph.free_shapes()[1][1:] if free else graph.fixed_shapes()[0][1:]))
    axes = dict.fromkeys(_AXES if free else _AXES[:1], torch.export.Dim.DYNAMIC)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about its own parts
        network = with_matrix_pools(graph.whole).eval()
        return torch.export.export(network, (graph.sample(shape),), dynamic_shapes=(axes,), strict=False)


def saved(program: Any, facts: dict[str, Any]) -> bytes:
    """The archive, metadata inside."""
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the archive, that it is one
        torch.export.save(program, target, extra_files={METADATA: json.dumps(facts)})
    return target.getvalue()


def _difference(program: Any, graph: Graph, free: bool) -> float:
    """Of the archive, as its reader will have it, from torch."""
    module = torch.export.load(io.BytesIO(saved(program, {}))).module()
    return graph.difference(module_runner(module), graph.free_shapes() if free else graph.fixed_shapes())


write = TorchExport()
