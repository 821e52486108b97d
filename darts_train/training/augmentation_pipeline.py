"""A chosen pipeline of augmentations, applied to batches: every step to the patches that its `p` chooses.

One patch may be turned and the next be blurred: rows are chosen on the CPU, so that no step waits for the device.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from darts_train.base.errors import UserError
from darts_train.raster.band import Band
from darts_train.training.augmentation import missing_values
from darts_train.training.augmentation_patches import Bands, Draws, Patches
from darts_train.training.augmentation_registry import OPERATIONS
from darts_train.training.augmentation_text import OPTION, Step, parse_steps


class Pipeline:
    """The augmentations of a run.

    Args:
        texts: As in `--augmentations`.
        bands: Of the network's input, in its order.
        fill: What stands for no data in network input.
        ignore: And in labels.
        zeros: float32 [c, 1, 1], see `augmentation.photometric`.

    Raises UserError for names and parameters that do not exist, and where the bands are not there.
    """

    def __init__(
        self, texts: Sequence[str], bands: Sequence[Band], fill: float, ignore: int, zeros: Tensor | None = None
    ) -> None:
        self.steps = parse_steps(texts)
        names = [band.name for band in bands if band.optical]
        rgb = ("red", "green", "blue")
        if any(_contains(step, "HueSaturationValue") for step in self.steps) and not set(rgb) <= set(names):
            raise UserError(
                f"{OPTION}: HueSaturationValue needs the optical bands red, green and blue; there are "
                f"{', '.join(names) or 'none'}."
            )
        order = [band.name for band in bands]
        places = (order.index("red"), order.index("green"), order.index("blue")) if set(rgb) <= set(names) else None
        self.bands = Bands(tuple(band.optical for band in bands), places, fill, ignore, zeros)

    def __call__(
        self, codes: Tensor, y: Tensor, decode: Callable[[Tensor], Tensor], generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Network input float32 [n, c, h, h] of codes [n, c, h, h], augmented, and labels [n, h, h] moved alike."""
        patches = Patches(decode(codes), missing_values(codes), y, self.bands)
        draws = Draws(generator)
        with torch.autocast(codes.device.type, enabled=False):  # bfloat16 has 8 bits for places and values alike
            for step in self.steps:
                patches = _done(step, patches, draws)
        return patches.x, patches.y


def _done(step: Step, patches: Patches, draws: Draws) -> Patches:
    """A step on the patches it chooses."""
    rows = draws.chosen(len(patches), step.p)
    if not rows:
        return patches
    if len(rows) == len(patches):
        return _forced(step, patches, draws)
    return patches.put(rows, _forced(step, patches.take(rows), draws))


def _forced(step: Step, patches: Patches, draws: Draws) -> Patches:
    """A step on all of the patches."""
    if step.name == "Sequential":
        for child in step.children:
            patches = _done(child, patches, draws)
        return patches
    if step.name != "OneOf":
        return OPERATIONS[step.name].apply(patches, draws, step.parameters)
    kinds = draws.kinds(len(patches), [child.p for child in step.children])
    result = patches
    for kind in sorted(set(kinds)):
        rows = [row for row, one in enumerate(kinds) if one == kind]
        result = result.put(rows, _forced(step.children[kind], patches.take(rows), draws))
    return result


def _contains(step: Step, name: str) -> bool:
    return step.name == name or any(_contains(child, name) for child in step.children)
