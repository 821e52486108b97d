"""Augmentations that take something away: holes and whole bands become no data."""

from collections.abc import Mapping
from typing import Any

import torch

from darts_train.training.augmentation.draws import Draws
from darts_train.training.augmentation.patches import Patches

Values = Mapping[str, Any]


def coarse_dropout(patches: Patches, draws: Draws, values: Values) -> None:
    """Rectangles of no data in all bands; with `ignore` nothing is to be learned there, else labels stay.

    Sides below 1 are shares of the patch, others are pixels.
    """
    holes = torch.zeros(patches.y.shape, dtype=torch.bool)
    for row, number in enumerate(draws.whole(len(patches), values["num_holes_range"])):
        for _ in range(number):
            height, width = (_side(patches.size, draws, values[f"hole_{name}_range"]) for name in ("height", "width"))
            top, left = (draws.whole(1, (0, patches.size - side))[0] for side in (height, width))
            holes[row, top : top + height, left : left + width] = True
    holes = holes.to(patches.x.device)
    if values["ignore"]:
        patches.y.masked_fill_(holes, patches.bands.ignore)
    _erase(patches, holes[:, None])


def band_dropout(patches: Patches, draws: Draws, values: Values) -> None:
    """Whole bands of no data, at least one stays."""
    bands = patches.x.shape[1]
    low, high = (min(end, bands - 1) for end in values["num_bands_range"])
    gone = torch.zeros(len(patches), bands, 1, 1, dtype=torch.bool)
    for row, number in enumerate(draws.whole(len(patches), (low, high))):
        gone[row, draws.order(bands)[:number]] = True
    _erase(patches, gone.to(patches.x.device))


def _side(size: int, draws: Draws, limits: tuple[float, float]) -> int:
    pixels = limits if limits[1] > 1 or limits[0] == 1 else (limits[0] * size, limits[1] * size)
    side = draws.uniform(1, (pixels[0], pixels[1] + (pixels is limits)))
    return min(max(int(side), 1), size)


def _erase(patches: Patches, where: torch.Tensor) -> None:
    patches.missing = patches.gaps() | where
    patches.x.masked_fill_(where, patches.bands.fill)
