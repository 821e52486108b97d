"""Blurs of the optical bands: means over pixels with data, so that no data does not darken its surroundings.

A blur is one kernel or two, one after the other (a square is a column and a row); each is a sum of shifted copies, of
which a kernel has few.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from darts_train.training.augmentation.draws import Draws
from darts_train.training.augmentation.patches import Light, per_patch

Values = Mapping[str, Any]
Kernels = npt.NDArray[np.float64]  # on the CPU: which of their weights are 0 is known without waiting for a device


def blur(light: Light, draws: Draws, values: Values) -> None:
    """The mean over a square with an odd side within `blur_limit`."""
    _separable(light, [np.ones(side) for side in _sides(light, draws, values)])


def motion_blur(light: Light, draws: Draws, values: Values) -> None:
    """The mean along a line through the pixel, in any direction, as long as an odd number within `blur_limit`."""
    angles = draws.uniform(len(light), (0.0, np.pi)).tolist()
    sides = _sides(light, draws, values)
    lines = [_line(side, angle) for side, angle in zip(sides, angles, strict=True)]
    _blur(light, [_stacked(lines, max(sides), max(sides))])


def gaussian_blur(light: Light, draws: Draws, values: Values) -> None:
    """A normal curve of a deviation, in pixels, within `sigma_limit`, cut off at three of them.

    Where `blur_limit` is not 0, it is cut off to an odd side within it, as Albumentations does (an even one grows).
    """
    sigmas = draws.uniform(len(light), values["sigma_limit"]).tolist()
    limits = values["blur_limit"]
    sides = draws.whole(len(light), limits) if limits[1] else [0] * len(light)
    curves = []
    for sigma, side in zip(sigmas, sides, strict=True):
        reach = side // 2 if side else int(3 * sigma + 0.5)
        curves.append(np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-3)) ** 2))
    _separable(light, curves)


def _sides(light: Light, draws: Draws, values: Values) -> list[int]:
    """Odd numbers of pixels, one for each patch."""
    low, high = values["blur_limit"]
    return [2 * half + 1 for half in draws.whole(len(light), (low // 2, max((high - 1) // 2, low // 2)))]


def _line(side: int, angle: float) -> Kernels:
    """A line of 1 through the middle of a square of 0."""
    kernel, half = np.zeros((side, side)), side // 2
    reach = np.linspace(-half, half, 4 * side + 1)
    longer = max(abs(np.cos(angle)), abs(np.sin(angle)))
    rows, columns = ((reach * part / longer + half).round().astype(int) for part in (np.sin(angle), np.cos(angle)))
    kernel[rows, columns] = 1.0
    return kernel


def _separable(light: Light, curves: Sequence[Kernels]) -> None:
    """Blur each patch with its curve [k], k odd, downwards and then sideways."""
    columns = _stacked([curve[:, None] for curve in curves], max(map(len, curves)), 1)
    _blur(light, [columns, columns.swapaxes(-1, -2)])


def _stacked(kernels: Sequence[Kernels], height: int, width: int) -> Kernels:
    """[n, height, width]: kernels with odd sides in the middle of 0, each with the sum 1."""
    stacked = np.zeros((len(kernels), height, width))
    for place, kernel in zip(stacked, kernels, strict=True):
        y, x = (height - kernel.shape[0]) // 2, (width - kernel.shape[1]) // 2
        place[y : height - y, x : width - x] = kernel / kernel.sum()
    return stacked


def _blur(light: Light, kernels: Sequence[Kernels]) -> None:
    """Weighted means with kernels [n, i, j], one after the other; pixels beyond the edge count as no data."""
    light.settle()
    weight = None if light.missing is None else (~light.missing).to(light.unit.dtype)
    for kernel in kernels:
        light.unit = _summed(light.unit, kernel)
        if weight is None:
            _divide_edges(light.unit, kernel)
        else:
            weight = _summed(weight, kernel)
    if weight is not None:
        light.unit.div_(weight.clamp_(min=1e-6))


def _divide_edges(sums: Tensor, kernels: Kernels) -> None:
    """Divide by how much of the kernel lies within the patch, which is all of it but near the edges."""
    height, width = sums.shape[-2:]
    down, right = kernels.shape[-2] // 2, kernels.shape[-1] // 2
    if down and right:
        sums.div_(_summed(sums.new_ones(len(sums), 1, height, width), kernels))
        return
    axis, reach = (-2, down) if down else (-1, right)
    side = sums.shape[axis]
    shape = (len(sums), 1, side if down else 1, 1 if down else side)
    weight = _summed(sums.new_ones(shape), kernels)
    near = min(reach, side)
    sums.narrow(axis, 0, near).div_(weight.narrow(axis, 0, near))
    rest = min(reach, side - near)
    sums.narrow(axis, side - rest, rest).div_(weight.narrow(axis, side - rest, rest))


def _summed(t: Tensor, kernels: Kernels) -> Tensor:
    """Sums over the surroundings of each pixel of [n, k, h, w], weighed with kernels [n, i, j], i and j odd."""
    height, width, middle = *t.shape[-2:], (kernels.shape[-2] // 2, kernels.shape[-1] // 2)
    out = _weighed(t, kernels[:, middle[0], middle[1]])
    for row, column in np.argwhere(kernels.any(axis=0)).tolist():
        down, right = row - middle[0], column - middle[1]
        if (down, right) == (0, 0) or abs(down) >= height or abs(right) >= width:
            continue
        to = out[..., max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
        came = t[..., max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]
        if len(kernels) == 1:
            to.add_(came, alpha=float(kernels[0, row, column]))
        else:
            to.add_(_weighed(came, kernels[:, row, column]))
    return out


def _weighed(t: Tensor, weights: Kernels) -> Tensor:
    """[n, k, h, w], each times its weight [n]."""
    return t * (float(weights[0]) if len(weights) == 1 else per_patch(torch.from_numpy(weights).to(t.dtype), t))
