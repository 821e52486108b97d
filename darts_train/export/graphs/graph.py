"""What an exported graph does besides the network: normalise, pad to the network's stride, give probabilities.

    normalised   what the network sees, float32, without gaps           (nothing is done)
    values       in the units of the bands, NaN where there is no data  (v - low) / (high - low)
    codes        of the training encoding, as float32; NaN or 65535 where there is no data

In the last two no data becomes the model's `nodata_fill`, after the normalisation. Padding is that of `models/fit.py`:
rows below and columns to the right that hold no data, and what comes of them is cropped.

Here in torch, as what every format is compared with; `onnx_graph.py` says the same in ONNX.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from darts_train.base.errors import UserError
from darts_train.export.graphs.comparison import (
    Logits,
    Shape,
    compare,
    fixed_shapes,
    free_shapes,
    sample_image,
    small_size,
)
from darts_train.models.factory import stride, takes
from darts_train.models.input_spec import FloatArray, InputSpecification
from darts_train.models.model_file import LoadedModel
from darts_train.models.normalisation import OF_SAMPLE, scaled_by_sample
from darts_train.options.exporting import Export, GraphInput
from darts_train.raster.band import MAX_CODE, NODATA


@dataclasses.dataclass(frozen=True)
class Graph:
    """What is to be written of a model. `step`: sides are padded to a multiple of it, `least` at least; 0: not."""

    model: LoadedModel
    input: GraphInput = "normalised"
    step: int = 0
    least: int = 0
    activated: bool = False

    @property
    def plain(self) -> bool:
        """Whether the graph is the network alone."""
        return self.input == "normalised" and not self.step and not self.activated

    @property
    def whole(self) -> nn.Module:
        """The graph in torch: image float32 [n, c, h, w] to logits or probabilities [n, k, h, w]."""
        return self.model.network if self.plain else GraphNetwork(self)

    def facts(self) -> dict[str, Any]:
        """What metadata say of it beside what they say of the model."""
        done: dict[str, Any] = {
            "graph_input": self.input,
            "graph_padding": bool(self.step),
            "graph_activation": self.activated,
        }
        if self.activated:
            done["activation"] = "none"
        return {**done, **({"fit": "tile"} if self.step and self.model.fit.kind == "pad" else {})}

    def free_shapes(self) -> list[Shape]:
        """Shapes to compare at where sizes are free: also odd ones, and less than the stride, where it pads itself."""
        if not self.step:
            return free_shapes(self.model)
        small = small_size(self.model)
        own = (1, self.model.side, self.model.side)
        return [own, (2, small + 5, small + 2 * self.step - 3), (3, max(1, self.step - 1), small)]

    def fixed_shapes(self) -> list[Shape]:
        """Shapes to compare at where the network takes one size."""
        return fixed_shapes(self.model)

    def sample(self, shape: Shape) -> Tensor:
        """An image float32 [n, c, h, w] as the graph takes it, the same at every call; with gaps where it may."""
        image = sample_image(self.model, shape)
        if self.input == "normalised":
            return image
        low, high = _columns(self.model.spec, "low", "high")
        values = low + (image * 1.2 - 0.1) * (high - low)
        if self.input == "codes":
            scale, offset = _columns(self.model.spec, "scale", "offset")
            values = ((values - offset) / scale).round().clamp(0, MAX_CODE)
        values[..., : shape[1] // 4, : shape[2] // 3] = torch.nan
        return values.to(torch.float32)

    def difference(self, other: Callable[[Logits], Logits], shapes: Sequence[Shape]) -> float:
        """Largest difference of what `other` gives from the graph in torch; see `comparison.compare`."""
        return compare(self.whole, other, (self.sample(shape) for shape in shapes))


def graph_of(model: LoadedModel, settings: Export) -> Graph:
    """What the options ask to be written. Raises UserError, before any work, for what does not go together."""
    kind = settings.graph_input
    if kind != "normalised" and model.fit.kind == "resize":
        raise UserError(
            f"--graph-input {kind}: this model resamples patches, which a graph cannot; leave the option out."
        )
    if kind == "codes" and all((one.scale, one.offset) == (1, 0) and one.high <= 1 for one in model.spec.bands):
        raise UserError("--graph-input codes: this model was trained on values without units, which have no codes.")
    step, least = _padding(model) if settings.graph_padding else (0, 0)
    return Graph(model, kind, step, least, settings.graph_activation)


def _padding(model: LoadedModel) -> tuple[int, int]:
    """To a multiple of what sides are padded, and the least side that the network takes."""
    step = model.fit.size if model.fit.kind == "pad" else stride(model.arch, model.encoder, model.options)
    sizes = range(step, max(model.side, step) + 1, step)
    return step, next((size for size in sizes if takes(model.arch, model.encoder, size, model.options)), model.side)


def multipliers(spec: InputSpecification, kind: GraphInput) -> tuple[FloatArray, FloatArray]:
    """Multiplier and bias float32 [c, 1, 1] that make what the network sees of codes, or of values."""
    if kind == "values":
        units = [dataclasses.replace(band, scale=1.0, offset=0.0) for band in spec.bands]
        spec = dataclasses.replace(spec, bands=tuple(units))
    multiplier, bias = spec.factors()
    return multiplier[:, None, None], bias[:, None, None]


class GraphNetwork(nn.Module):
    """A graph in torch, of the sizes that it is called with."""

    multiplier: Tensor
    bias: Tensor

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        spec = graph.model.spec
        self.network, self.input = graph.model.network, graph.input
        self.step, self.least, self.activated = graph.step, graph.least, graph.activated
        self.kind, self.clipped, self.fill = spec.normalisation, spec.clipped, float(spec.nodata_fill)
        for name, factor in zip(("multiplier", "bias"), multipliers(spec, graph.input), strict=True):
            self.register_buffer(name, torch.from_numpy(factor), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits or probabilities float32 [n, k, h, w] of an image float32 [n, c, h, w]; see the module for gaps."""
        height, width = image.shape[-2:]
        seen = image if self.input == "normalised" else self._normalised(image)
        if self.step:
            below, right = (_wanted(side, self.step, self.least) - side for side in (height, width))
            seen = functional.pad(seen, (0, right, 0, below), value=self.fill)
        found: Tensor = self.network(seen)
        if self.step:
            found = found[..., :height, :width]
        if self.activated:
            found = found.sigmoid() if found.shape[1] == 1 else found.softmax(dim=1)
        return found

    def _normalised(self, image: Tensor) -> Tensor:
        missing = image.isnan()
        if self.input == "codes":
            missing = missing | (image == NODATA)
        if self.kind in OF_SAMPLE:
            return scaled_by_sample(image, missing, self.kind, self.fill)
        seen = image * self.multiplier + self.bias
        return (seen.clamp(0.0, 1.0) if self.clipped else seen).masked_fill(missing, self.fill)


def _wanted(side: int, step: int, least: int) -> int:
    return max((side + step - 1) // step * step, least)


def _columns(spec: InputSpecification, *names: str) -> list[Tensor]:
    return [
        torch.tensor([getattr(band, name) for band in spec.bands], dtype=torch.float64)[:, None, None] for name in names
    ]
