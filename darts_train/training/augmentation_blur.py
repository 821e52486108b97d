"""Blurs of the optical bands: means over pixels with data, so that no data does not darken its surroundings."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from darts_train.training.augmentation_patches import Draws, Patches

Values = Mapping[str, Any]


def blur(patches: Patches, draws: Draws, values: Values) -> Patches:
    """The mean over a square with an odd side within `blur_limit`."""
    return _blurred(patches, [torch.ones(side, side) for side in _sides(patches, draws, values)])


def motion_blur(patches: Patches, draws: Draws, values: Values) -> Patches:
    """The mean along a line through the pixel, in any direction, as long as an odd number within `blur_limit`."""
    angles = draws.uniform(len(patches), (0.0, torch.pi))
    return _blurred(
        patches, [_line(side, angle) for side, angle in zip(_sides(patches, draws, values), angles, strict=True)]
    )


def gaussian_blur(patches: Patches, draws: Draws, values: Values) -> Patches:
    """A normal curve of a deviation, in pixels, within `sigma_limit`, cut off at three of them."""
    kernels = []
    for sigma in draws.uniform(len(patches), values["sigma_limit"]):
        reach = int(3 * float(sigma) + 0.5)
        curve = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma.clamp(min=1e-3)) ** 2)
        kernels.append(curve[:, None] * curve)
    return _blurred(patches, kernels)


def _sides(patches: Patches, draws: Draws, values: Values) -> list[int]:
    """Odd numbers of pixels, one for each patch."""
    low, high = values["blur_limit"]
    return [2 * half + 1 for half in draws.whole(len(patches), (low // 2, max((high - 1) // 2, low // 2)))]


def _line(side: int, angle: Tensor) -> Tensor:
    """A line of 1 through the middle of a square of 0."""
    kernel, half = torch.zeros(side, side), side // 2
    reach = torch.linspace(-half, half, 4 * side + 1)
    longer = torch.maximum(angle.cos().abs(), angle.sin().abs())
    rows, columns = ((reach * part / longer + half).round().long() for part in (angle.sin(), angle.cos()))
    kernel[rows, columns] = 1.0
    return kernel


def _blurred(patches: Patches, kernels: list[Tensor]) -> Patches:
    """Each patch's weighted mean with its kernel [k, k], k odd; pixels beyond the edge count as no data."""
    light = patches.light()
    valid = (~patches.missing).to(light.unit.dtype)
    side = max(len(kernel) for kernel in kernels)
    padded = torch.stack([functional.pad(k, [(side - len(k)) // 2] * 4) for k in kernels])
    count, bands = patches.x.shape[:2]
    weights = padded.to(light.unit.device).repeat_interleave(bands, 0)[:, None]

    def summed(t: Tensor) -> Tensor:
        flat = t.reshape(1, count * bands, *t.shape[-2:])
        return functional.conv2d(flat, weights, padding=side // 2, groups=count * bands).reshape(t.shape)

    return patches.with_light(replace(light, unit=summed(light.unit) / summed(valid).clamp(min=1e-6)))
