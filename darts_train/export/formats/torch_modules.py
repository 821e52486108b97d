"""What the formats of torch itself share: which sizes to ask for, and a module as a function of arrays."""

from collections.abc import Callable

import torch
from torch import nn

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.export.graphs.comparison import Logits, reference
from darts_train.export.graphs.graph import Graph
from darts_train.models.normalisation import OF_SAMPLE

METADATA = "metadata.json"  # the extra file in an archive of torch
_log = logger("export")


def takes_free_sizes(graph: Graph) -> bool:
    """Whether the network itself, in torch, takes the sizes at which an export is compared."""
    try:
        for shape in graph.free_shapes()[1:]:
            reference(graph.whole, graph.sample(shape))
    except UserError:
        return False
    return True


def require_one_rule(graph: Graph, format: str) -> None:
    """Raise UserError, before the work, where the graph is to normalise each image of a batch by its own range."""
    kind = graph.model.spec.normalisation
    if graph.input != "normalised" and kind in OF_SAMPLE:
        raise UserError(
            f"--graph-input {graph.input}: {kind} goes image by image, which {format} writes for one batch size only; "
            "leave it out, or choose onnx."
        )


def module_runner(module: nn.Module) -> Callable[[Logits], Logits]:
    """A function image → logits that runs a module of torch, read back, on the CPU. A failure there gives NaN."""

    def run(image: Logits) -> Logits:
        try:
            with torch.no_grad():
                logits: Logits = module(torch.from_numpy(image)).numpy()
        except Exception as error:  # guards of exported programs, assertions of scripts: sizes that were baked in
            _log.debug("read back, at %s: %s", image.shape, str(error).splitlines()[0])
            return image * float("nan")
        return logits

    return run
