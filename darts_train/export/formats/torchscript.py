"""The format `torchscript`: a .pt archive for libtorch, Triton's PyTorch backend, and programs in C++ and Java.

A network is scripted, which keeps its control flow; where torch cannot (of segmentation-models-pytorch: UnetPlusPlus,
DPT, some encoders), it is traced: what it did with one image is written down, and compared at other sizes. The
archive holds the extra file `metadata.json`: `torch.jit.load(path, _extra_files={"metadata.json": ""})` gives it.
"""

import io
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.export.description import describe
from darts_train.export.formats.protocol import ExportError, Written
from darts_train.export.formats.torch_modules import METADATA, module_runner, require_one_rule, takes_free_sizes
from darts_train.export.graphs.comparison import TOLERANCE, sample_image
from darts_train.export.graphs.graph import Graph, graph_of
from darts_train.models.model_file import LoadedModel
from darts_train.options.exporting import Export

Way = Literal["scripted", "traced"]
WAYS: tuple[Way, ...] = ("scripted", "traced")
_log = logger("export")


class TorchScript:
    """Writes a TorchScript archive."""

    suffix = ".pt"

    def __call__(self, model: LoadedModel, settings: Export) -> Written:
        """See `Writer`."""
        graph = graph_of(model, settings)
        require_one_rule(graph, "TorchScript")
        module, way, difference, free = to_torchscript(graph)
        facts = {**describe(model, difference, free), **graph.facts(), "torchscript": way}
        return Written(saved(module, facts), difference, free, (_note(way, free),), described=True)


def _note(way: Way, free: bool) -> str:
    if way == "scripted":
        return "scripted"
    return f"traced, since torch cannot script this network; compared at {'other sizes too' if free else 'one size'}"


def to_torchscript(graph: Graph) -> tuple[Any, Way, float, bool]:
    """The module, how it was made, its largest difference from torch, and whether sizes are free.

    Scripting comes before tracing, free sizes before one size. Raises ExportError where neither agrees with torch at
    any size, and UserError where the graph is to pad, and neither does.
    """
    made: dict[Way, Any] = {}
    worst = float("inf")
    for free in (True, False) if takes_free_sizes(graph) else (False,):
        shapes = graph.free_shapes() if free else graph.fixed_shapes()
        if not free:
            _require_one_size(graph)
        for way in WAYS:
            module = made[way] if way in made else made.setdefault(way, _made(graph, way))
            found = float("inf") if module is None else graph.difference(module_runner(_read_back(module)), shapes)
            if found <= TOLERANCE:
                return module, way, found, free
            worst = min(worst, found)
    raise ExportError(f"TorchScript and torch differ by {worst:.3g} (tolerance {TOLERANCE:g}); nothing was written.")


def _require_one_size(graph: Graph) -> None:
    if graph.step:
        raise UserError(f"--graph-padding: {graph.model.arch} as TorchScript takes one size only; leave it out.")
    _log.warning("%s is written for patches of %d pixels alone.", graph.model.arch, graph.model.side)


def _made(graph: Graph, way: Way) -> Any:
    """The graph as TorchScript, its network scripted or traced; None where torch cannot."""
    network = graph.model.network.eval()
    try:
        with _quiet():
            if way == "traced":
                batch = (2, *graph.fixed_shapes()[0][1:])
                made: Any = _traced(network, sample_image(graph.model, batch))
            else:
                made = torch.jit.script(network)
            return made if graph.plain else torch.jit.script(_Surrounded(graph, made).eval())
    except Exception as error:  # the compiler has several, the network's own code any
        _log.debug("%s cannot be %s: %s", graph.model.arch, way, " ".join(str(error).split())[:300])
        return None


def _traced(module: nn.Module, image: Tensor) -> Any:
    return torch.jit.trace(module, image, check_trace=False)  # type: ignore[no-untyped-call]


class _Surrounded(nn.Module):
    """A graph (`graph.py`) around a network in TorchScript, written so that sizes stay free when it is scripted."""

    def __init__(self, graph: Graph, network: nn.Module) -> None:
        super().__init__()
        bare = replace(graph, model=replace(graph.model, network=nn.Identity()), step=0, activated=False)
        shape = (2, *graph.fixed_shapes()[0][1:])
        self.before, self.network = _traced(bare.whole, graph.sample(shape)), network
        self.step, self.least, self.activated = graph.step, graph.least, graph.activated
        self.fill = float(graph.model.spec.nodata_fill)

    def forward(self, image: Tensor) -> Tensor:
        """Logits or probabilities float32 [n, k, h, w] of an image float32 [n, c, h, w]."""
        height, width = image.shape[-2], image.shape[-1]
        seen = self.before(image)
        if self.step > 0:
            below = max((height + self.step - 1) // self.step * self.step, self.least) - height
            right = max((width + self.step - 1) // self.step * self.step, self.least) - width
            seen = functional.pad(seen, [0, right, 0, below], value=self.fill)
        found: Tensor = self.network(seen)
        if self.step > 0:
            found = found[:, :, :height, :width]
        if self.activated:
            found = found.sigmoid() if found.shape[1] == 1 else found.softmax(dim=1)
        return found


def _read_back(module: Any) -> Any:
    with _quiet():
        return torch.jit.load(io.BytesIO(saved(module, {})))  # type: ignore[no-untyped-call]


def saved(module: Any, facts: dict[str, Any]) -> bytes:
    """The archive, metadata inside."""
    target = io.BytesIO()
    with _quiet():
        torch.jit.save(module, target, _extra_files={METADATA: json.dumps(facts)})
    return target.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings: of traces, about numbers that become constants (compared at other sizes), and of its age."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


write = TorchScript()
