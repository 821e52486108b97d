"""Whether a network that was written down says the same as the network: sizes to try, inputs to try them with."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from darts_train.base.errors import UserError
from darts_train.models.factory import LARGEST_SUGGESTION, stride, takes
from darts_train.models.model_file import LoadedModel

TOLERANCE = 1e-3  # of logits, or of the largest logit where that is above 1; measured: 1e-6 to 1e-5
Shape = tuple[int, int, int]  # batch, height, width
Logits = npt.NDArray[np.float32]


def small_size(model: LoadedModel) -> int:
    """Least multiple of the stride, two at least, that the network takes; its image's where there is none."""
    step = stride(model.arch, model.encoder, model.options)
    sizes = range(2 * step, min(model.side, LARGEST_SUGGESTION) + 1, step)
    fits = (size for size in sizes if takes(model.arch, model.encoder, size, model.options))
    return next(fits, model.side)


def free_shapes(model: LoadedModel) -> list[Shape]:
    """Shapes for a network that takes any multiple of its stride: its own, and small ones that are not square."""
    step, small = stride(model.arch, model.encoder, model.options), small_size(model)
    own = (1, model.side, model.side)
    return [own, (2, small, small + 2 * step), (3, small + step, small)]


def fixed_shapes(model: LoadedModel) -> list[Shape]:
    """Shapes for a network that takes one size only."""
    return [(batch, model.side, model.side) for batch in (1, 2, 3)]


def sample_image(model: LoadedModel, shape: Shape) -> torch.Tensor:
    """Network input float32 [n, c, h, w], uniform in [0, 1], the same at every call."""
    batch, height, width = shape
    generator = torch.Generator().manual_seed(0)
    return torch.rand((batch, len(model.spec.bands), height, width), generator=generator)


def reference(network: nn.Module, image: torch.Tensor) -> Logits:
    """Logits float32 [n, k, h, w] of the network in torch, on the CPU. Raises UserError where it takes no such size."""
    try:
        with torch.inference_mode():
            logits: Logits = network(image).numpy()
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the network does not take {tuple(image.shape[-2:])} pixels: {reason}") from error
    return logits


def largest_difference(model: LoadedModel, other: Callable[[Logits], Logits], shapes: Sequence[Shape]) -> float:
    """Largest difference of logits over the shapes; see `compare`."""
    return compare(model.network, other, (sample_image(model, shape) for shape in shapes))


def compare(network: nn.Module, other: Callable[[Logits], Logits], images: Iterable[torch.Tensor]) -> float:
    """Largest difference of what comes out for images [n, c, h, w], in units of the largest value where above 1.

    Infinite where the other's shape differs or either is not finite. `other` maps an image [n, c, h, w] to logits.
    """
    worst = 0.0
    for image in images:
        ours, theirs = reference(network, image), other(image.numpy())
        if ours.shape != theirs.shape or not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
            return float("inf")
        worst = max(worst, float(np.abs(ours - theirs).max() / max(1.0, np.abs(ours).max())))
    return worst
