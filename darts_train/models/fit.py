"""How a patch becomes an image that the network takes, and its logits become the patch's again.

`tile`: as it is. `pad`: rows without data below and columns without data to the right, up to a multiple of `size`; the
logits are cropped. `resize`: resampled by `size / patch_size`, so that a patch has `size` pixels to a side, and the
logits are resampled back; labels are never touched. A larger window is resampled by the same factor, since a network
knows the size of things in pixels.

All of it is arithmetic on the device between the input layer and the loss, the same in training, validation, test and
maps, also of an exported network: its graph begins and ends with the network itself.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

FitKind = Literal["tile", "pad", "resize"]
LEAST_SHARE = 0.5  # of the weights of a resampled pixel that must be of pixels with data


@dataclass(frozen=True)
class Fit:
    """How patches are fitted. `size`: pad to a multiple of it; resize: side of the image of a patch; tile: none.

    `patch_size` is the side of the patches of training, `fill` what the network sees where there is no data.
    """

    kind: FitKind
    size: int
    patch_size: int
    fill: float

    @property
    def marked(self) -> bool:
        """Whether no data must come as NaN (`InputLayer(marked=True)`): resampling has to tell it from values."""
        return self.kind == "resize"

    def side(self, side: int) -> int:
        """Side of the network's image for a window of `side` pixels."""
        if self.kind == "pad":
            return -(-side // self.size) * self.size
        if self.kind == "resize":
            return max(1, (2 * side * self.size + self.patch_size) // (2 * self.patch_size))
        return side

    def stride(self, stride: int) -> int:
        """Pixels by which a patch must move for its image to move by a multiple of a network's stride."""
        if self.kind != "resize":
            return stride
        whole = stride * self.patch_size
        return whole // math.gcd(whole, self.size)

    def image(self, x: Tensor) -> Tensor:
        """Network input float32 [n, c, h, w] for patches float32 [n, c, h, w]; `x` itself where it fits already.

        Where `marked`, NaN is no data. A resampled value is the mean of the values with data, with the weights of
        bilinear resampling (antialiased where the image gets smaller); it is no data where these are less than
        LEAST_SHARE of the weights.
        """
        height, width = x.shape[-2:]
        target = (self.side(height), self.side(width))
        if self.kind == "resize":
            return _resampled(x, target, self.fill)
        if target == (height, width):
            return x
        return functional.pad(x, (0, target[1] - width, 0, target[0] - height), value=self.fill)

    def logits(self, logits: Tensor, height: int, width: int) -> Tensor:
        """Logits [n, k, height, width] of patches for those of their images: cropped, or resampled bilinearly."""
        if tuple(logits.shape[-2:]) == (height, width):
            return logits
        if self.kind == "resize":
            return functional.interpolate(logits.float(), (height, width), mode="bilinear", align_corners=False)
        return logits[..., :height, :width]


def _resampled(x: Tensor, target: tuple[int, int], fill: float) -> Tensor:
    missing = x.isnan()
    if target == tuple(x.shape[-2:]):
        return x.masked_fill(missing, fill)
    values = _bilinear(x.masked_fill(missing, 0.0), target)
    share = _bilinear((~missing).to(x.dtype), target)
    return torch.where(share >= LEAST_SHARE, values / share.clamp(min=LEAST_SHARE), fill)


def _bilinear(x: Tensor, target: tuple[int, int]) -> Tensor:
    smaller = target[0] < x.shape[-2]
    return functional.interpolate(x, target, mode="bilinear", align_corners=False, antialias=smaller)


TILE = Fit("tile", 1, 1, 0.0)  # of a network for which nothing is done


class FittedNetwork(nn.Module):
    """A network together with its fit: float32 [n, c, h, w] of patches to logits [n, k, h, w]."""

    def __init__(self, network: nn.Module, fit: Fit) -> None:
        super().__init__()
        self.network, self.fit = network, fit

    def forward(self, x: Tensor) -> Tensor:
        """Logits of patches; see `Fit.image` for no data."""
        logits: Tensor = self.network(self.fit.image(x))
        return self.fit.logits(logits, x.shape[-2], x.shape[-1])


def fitted(network: nn.Module, fit: Fit) -> nn.Module:
    """The network for patches as they are; the network itself where nothing is to be done."""
    return network if fit.kind == "tile" else FittedNetwork(network, fit)
