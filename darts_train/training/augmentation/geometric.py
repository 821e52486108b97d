"""Geometric augmentations: x, its no data and y go to the same places.

Symmetries of the square move pixels and change no value; here they are only drawn. All others are one 3 × 3 matrix
per patch from places in the result to places in the patch, both in pixels from its middle: bands are interpolated
(bilinear, among pixels with data), labels take the nearest pixel, and what comes from outside is no data and ignored.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from darts_train.training.augmentation.draws import Draws
from darts_train.training.augmentation.patches import Patches
from darts_train.training.augmentation.symmetry import NONE, Symmetry, mirrored, turned, upended

Values = Mapping[str, Any]


def horizontal_flip(count: int, draws: Draws, values: Values) -> list[Symmetry]:
    """Mirror left and right."""
    return [mirrored(NONE)] * count


def vertical_flip(count: int, draws: Draws, values: Values) -> list[Symmetry]:
    """Mirror up and down."""
    return [upended(NONE)] * count


def random_rotate_90(count: int, draws: Draws, values: Values) -> list[Symmetry]:
    """None to three quarter turns, each as likely."""
    return [turned(NONE, quarters) for quarters in draws.whole(count, (0, 3))]


def d4(count: int, draws: Draws, values: Values) -> list[Symmetry]:
    """One of the eight symmetries of the square, each as likely."""
    return [(bool(kind & 1), bool(kind & 2), bool(kind & 4)) for kind in draws.whole(count, (0, 7))]


def rotate(patches: Patches, draws: Draws, values: Values) -> None:
    """Turn around the middle, by an angle in degrees within `limit`."""
    warp(patches, _turn(draws.uniform(len(patches), values["limit"])))


def affine(patches: Patches, draws: Draws, values: Values) -> None:
    """Scale, shear, turn and shift; `translate_percent` are shares of a side, angles are degrees."""
    count = len(patches)
    sx = draws.uniform(count, values["scale"])
    sy = sx if values["keep_ratio"] else draws.uniform(count, values["scale"])
    shear = [torch.tan(torch.deg2rad(draws.uniform(count, values["shear"]))) for _ in range(2)]
    angle = draws.uniform(count, values["rotate"])
    dx, dy = (draws.uniform(count, values["translate_percent"]) * patches.size for _ in range(2))
    one, zero = torch.ones(count), torch.zeros(count)
    back = _rows([[one, zero, -dx], [zero, one, -dy], [zero, zero, one]])
    slant = _rows([[one, shear[0], zero], [shear[1], one, zero], [zero, zero, one]])
    sized = _rows([[1 / sx, zero, zero], [zero, 1 / sy, zero], [zero, zero, one]])
    warp(patches, sized @ slant @ _turn(angle) @ back)


def perspective(patches: Patches, draws: Draws, values: Values) -> None:
    """Corners move inwards at random, by a deviation from `scale` in shares of a side; what they span is enlarged."""
    count, half = len(patches), patches.size / 2
    spread = draws.uniform(count, values["scale"])[:, None, None]
    inward = torch.stack([draws.uniform(count * 8, (-1.0, 1.0)) for _ in range(3)]).sum(0)  # nearly normal, variance 1
    inward = (inward.reshape(count, 4, 2).abs() * spread).clamp(max=0.45) * patches.size
    corners = half * torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    warp(patches, _homography(corners, corners - corners.sign() * inward))


def random_resized_crop(patches: Patches, draws: Draws, values: Values) -> None:
    """A part of the patch, of a share `scale` of its area and a ratio of sides `ratio`, enlarged to the whole."""
    count = len(patches)
    area = draws.uniform(count, values["scale"])
    ratio = torch.exp(draws.uniform(count, (math.log(values["ratio"][0]), math.log(values["ratio"][1]))))
    width, height = ((area * r).sqrt().clamp(max=1.0) for r in (ratio, 1 / ratio))
    dx, dy = ((1 - side) * patches.size / 2 * draws.uniform(count, (-1.0, 1.0)) for side in (width, height))
    one, zero = torch.ones(count), torch.zeros(count)
    warp(patches, _rows([[width, zero, dx], [zero, height, dy], [zero, zero, one]]))


def warp(patches: Patches, matrices: Tensor) -> None:
    """Let the pixel at q, from the middle, be that at matrix · q; matrices float32 [n, 3, 3] on the CPU.

    A band's value is the mean of the four pixels around, weighed by nearness, over those that have data; less than
    half of the weight with data is no data.
    """
    grid = _grid(matrices, patches.size).to(patches.x.device)
    x, gaps, bands = patches.x, patches.missing, patches.x.shape[1]
    valid = torch.ones_like(x[:, :1]) if gaps is None else (~gaps).to(x.dtype)  # of all bands together, or of each
    stacked = torch.cat([x if gaps is None else x.masked_fill(gaps, 0.0), valid], dim=1)
    sampled = functional.grid_sample(stacked, grid, "bilinear", "zeros", align_corners=False)
    values, weight = sampled[:, :bands], sampled[:, bands:]
    patches.missing = (weight < 0.5).expand_as(values)
    patches.x = (values / weight.clamp(min=0.5)).masked_fill_(patches.missing, patches.bands.fill)
    ignore = patches.bands.ignore
    labels = patches.y[:, None].to(torch.float32) - ignore  # what is outside is 0 here
    moved = functional.grid_sample(labels, grid, "nearest", "zeros", align_corners=False)[:, 0] + ignore
    patches.y = moved.round().to(patches.y.dtype)


def _grid(matrices: Tensor, size: int) -> Tensor:
    """Places to look at, as grid_sample wants them: [n, h, h, 2], −1 and 1 the edges of the patch."""
    place = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    rows, columns = torch.meshgrid(place, place, indexing="ij")
    points = torch.stack([columns, rows, torch.ones_like(rows)], dim=-1)
    seen = torch.einsum("nij,hwj->nhwi", matrices.to(torch.float64), points)
    return (seen[..., :2] / seen[..., 2:] / (size / 2)).to(torch.float32)


def _turn(degrees: Tensor) -> Tensor:
    angle = torch.deg2rad(degrees)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _rows([[cos, -sin, zero], [sin, cos, zero], [zero, zero, torch.ones_like(angle)]])


def _rows(entries: list[list[Tensor]]) -> Tensor:
    """[n, 3, 3] of nine [n]."""
    return torch.stack([torch.stack(row, dim=-1) for row in entries], dim=-2)


def _homography(source: Tensor, target: Tensor) -> Tensor:
    """[n, 3, 3] that takes four points [4, 2] to [n, 4, 2], its last entry 1."""
    count = len(target)
    x, y = source.to(torch.float64).expand(count, 4, 2).unbind(-1)
    u, v = target.to(torch.float64).unbind(-1)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    first = torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], dim=-1)
    second = torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], dim=-1)
    solved = torch.linalg.solve(torch.cat([first, second], dim=1), torch.cat([u, v], dim=1))
    return torch.cat([solved, torch.ones(count, 1, dtype=torch.float64)], dim=1).reshape(count, 3, 3)
