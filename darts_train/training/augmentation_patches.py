"""What an augmentation gets: patches on the device with what is known of them, and the draws of the step."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

_EPS = 1e-12


@dataclass(frozen=True, eq=False)
class Bands:
    """What is the same for all patches of a run."""

    optical: tuple[bool, ...]
    rgb: tuple[int, int, int] | None  # where red, green and blue are, if all are there and optical
    fill: float  # what stands for no data in x
    ignore: int  # and in y
    zeros: Tensor | None  # float32 [c, 1, 1]: no light at all, where that is not 0 and values have no limits


@dataclass(frozen=True, eq=False)
class Patches:
    """x float32 [n, c, h, h] as the network sees it, missing bool alike, y [n, h, h] of any integer type."""

    x: Tensor
    missing: Tensor
    y: Tensor
    bands: Bands

    def __len__(self) -> int:
        return len(self.x)

    @property
    def size(self) -> int:
        """Pixels of a side."""
        return self.x.shape[-1]

    def take(self, rows: Sequence[int]) -> "Patches":
        """Some of the patches, copied."""
        index = torch.tensor(rows).to(self.x.device, non_blocking=True)
        return replace(self, x=self.x[index], missing=self.missing[index], y=self.y[index])

    def put(self, rows: Sequence[int], part: "Patches") -> "Patches":
        """These patches with `part` in place of some of them."""
        index = torch.tensor(rows).to(self.x.device, non_blocking=True)
        pairs = ((self.x, part.x), (self.missing, part.missing), (self.y, part.y))
        x, missing, y = (whole.index_copy(0, index, new) for whole, new in pairs)
        return replace(self, x=x, missing=missing, y=y)

    def with_light(self, light: "Light") -> "Patches":
        """These patches with other values in their optical bands; no data stays what it was."""
        values = light.unit
        if self.bands.zeros is None:
            values = values.clamp(0.0, 1.0)
        else:
            values = values * light.scale + self.bands.zeros.to(self.x.device)
        values = values.masked_fill(self.missing, self.bands.fill)
        optical = torch.tensor(self.bands.optical).to(self.x.device, non_blocking=True)[:, None, None]
        return replace(self, x=torch.where(optical, values, self.x))

    def light(self) -> "Light":
        """The values of all bands as shares of a greatest, 0 where there is no data.

        The greatest is 1, the upper end of the band's range; where values have no range (z-scores), the greatest value
        of the band in the patch.
        """
        if self.bands.zeros is None:
            return Light(self.x.masked_fill(self.missing, 0.0), torch.ones((), device=self.x.device))
        bare = (self.x - self.bands.zeros.to(self.x.device)).masked_fill(self.missing, 0.0)
        scale = bare.amax(dim=(-2, -1), keepdim=True)
        scale = torch.where(scale > _EPS, scale, torch.ones_like(scale))
        return Light(bare / scale, scale)


@dataclass(frozen=True, eq=False)
class Light:
    """`unit` float32 [n, c, h, h], and what makes network input of it again."""

    unit: Tensor
    scale: Tensor


class Draws:
    """The draws of one step. Numbers for whole patches are drawn on the CPU, so that no device is waited for."""

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        on_cpu = generator.device.type == "cpu"
        self._host = generator if on_cpu else torch.Generator().manual_seed(generator.initial_seed())

    def uniform(self, count: int, limits: tuple[float, float]) -> Tensor:
        """float32 [count] on the CPU, between the limits."""
        low, high = limits
        return low + (high - low) * torch.rand(count, generator=self._host)

    def whole(self, count: int, limits: tuple[float, float]) -> list[int]:
        """Whole numbers, both limits included."""
        return torch.randint(int(limits[0]), int(limits[1]) + 1, (count,), generator=self._host).tolist()

    def chosen(self, count: int, p: float) -> list[int]:
        """Which of `count` patches, each with probability p."""
        return torch.nonzero(torch.rand(count, generator=self._host) < p).flatten().tolist()

    def kinds(self, count: int, weights: Sequence[float]) -> list[int]:
        """One of several kinds for each, as likely as its weight."""
        return torch.multinomial(torch.tensor(weights), count, replacement=True, generator=self._host).tolist()

    def order(self, count: int) -> list[int]:
        """A permutation of 0 … count − 1."""
        return torch.randperm(count, generator=self._host).tolist()

    def pixels(self, like: Tensor) -> Tensor:
        """float32 in [0, 1) on the device, of the shape of `like`."""
        return torch.rand(like.shape, generator=self.generator, device=like.device)

    def normal(self, like: Tensor) -> Tensor:
        """float32 of mean 0 and deviation 1 on the device, of the shape of `like`."""
        return torch.randn(like.shape, generator=self.generator, device=like.device)


def per_patch(values: Tensor, like: Tensor) -> Tensor:
    """[n] on the CPU → [n, 1, 1, 1] on the device of `like`."""
    return values.to(like.device)[:, None, None, None]
