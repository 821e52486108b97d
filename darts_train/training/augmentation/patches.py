"""What an augmentation gets: patches on the device with what is known of them, or the light of some of their bands.

Both own their tensors: an augmentation writes into them, since fresh memory costs more than the arithmetic.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from darts_train.training.augmentation.symmetry import Symmetry, all_moved

_EPS = 1e-12
_BLOCK = 2**21  # pixels and bands that one thread works on together: 8 MB, so that operations are not too many


@dataclass(frozen=True, eq=False)
class Bands:
    """What is the same for all patches of a run."""

    optical: tuple[bool, ...]
    rgb: tuple[int, int, int] | None  # where red, green and blue are, if all are there and optical
    fill: float  # what stands for no data in x
    ignore: int  # and in y
    zeros: Tensor | None  # float32 [c, 1, 1]: no light at all, where that is not 0 and values have no limits

    def blocks(self, pixels: int | None) -> list[slice]:
        """Neighbours that are all optical or all not; with a number of pixels at most _BLOCK together, or one band."""
        most = len(self.optical) if pixels is None else max(_BLOCK // max(pixels, 1), 1)
        found: list[slice] = []
        for place, optical in enumerate(self.optical):
            if place and optical == self.optical[place - 1] and place - found[-1].start < most:
                found[-1] = slice(found[-1].start, place + 1)
            else:
                found.append(slice(place, place + 1))
        return found


@dataclass(eq=False)
class Light:
    """Values of optical bands as shares of a greatest, 0 where there is no data.

    The greatest is 1, the upper end of the band's range, and what is beyond in the end is cut off; where values have no
    range (z-scores), the greatest value of the band in the patch.
    """

    unit: Tensor  # float32 [n, k, h, w]
    missing: Tensor | None  # bool alike; None where all is there

    def __len__(self) -> int:
        return len(self.unit)

    def take(self, rows: Sequence[int]) -> "Light":
        """Some of the patches, copied."""
        index = on_device(torch.tensor(rows), self.unit)
        return replace(self, unit=self.unit[index], missing=None if self.missing is None else self.missing[index])

    def put(self, rows: Sequence[int], part: "Light") -> None:
        """Take over what became of some of the patches."""
        self.unit.index_copy_(0, on_device(torch.tensor(rows), self.unit), part.unit)

    def settle(self) -> None:
        """Make 0 of what came where there is no data; for what looks beyond single pixels."""
        if self.missing is not None:
            self.unit.masked_fill_(self.missing, 0.0)

    def means(self) -> Tensor:
        """Of every band of every patch over its pixels with data, float32 [n, k, 1, 1]; 0 without any."""
        self.settle()
        sums = self.unit.sum(dim=(-2, -1), keepdim=True)
        if self.missing is None:
            return sums / max(self.unit.shape[-1] * self.unit.shape[-2], 1)
        return sums / (~self.missing).sum(dim=(-2, -1), keepdim=True).clamp(min=1)


@dataclass(eq=False)
class Patches:
    """x float32 [n, c, h, h] as the network sees it; missing bool alike, None where all is there; y [n, h, h]."""

    x: Tensor
    missing: Tensor | None
    y: Tensor
    bands: Bands

    def __len__(self) -> int:
        return len(self.x)

    @property
    def size(self) -> int:
        """Pixels of a side."""
        return self.x.shape[-1]

    def gaps(self) -> Tensor:
        """`missing`, also where all is there."""
        return (
            torch.zeros(self.x.shape, dtype=torch.bool, device=self.x.device) if self.missing is None else self.missing
        )

    def take(self, rows: Sequence[int]) -> "Patches":
        """Some of the patches, copied."""
        index = on_device(torch.tensor(rows), self.x)
        missing = None if self.missing is None else self.missing[index]
        return replace(self, x=self.x[index], missing=missing, y=self.y[index])

    def put(self, rows: Sequence[int], part: "Patches") -> None:
        """Take over what became of some of the patches."""
        index = on_device(torch.tensor(rows), self.x)
        if part.missing is not None:
            self.missing = self.gaps().index_copy(0, index, part.missing)
        self.x.index_copy_(0, index, part.x)
        self.y.index_copy_(0, index, part.y)

    def move(self, chosen: list[Symmetry]) -> None:
        """Move each patch, exactly, with its labels."""
        self.x, self.y = all_moved(self.x, chosen), all_moved(self.y, chosen)
        if self.missing is not None:
            self.missing = all_moved(self.missing, chosen)

    def blocks(self) -> list[slice]:
        """The bands as they are best worked on: those of one patch on a CPU in blocks, else as many as there are."""
        alone = self.x.device.type == "cpu" and len(self) == 1
        return self.bands.blocks(self.x.shape[-1] * self.x.shape[-2] if alone else None)

    @contextmanager
    def light(self, part: slice | list[int], values: Tensor | None = None) -> Iterator[Light]:
        """The light of some bands; what becomes of it is theirs afterwards, and no data stays what it was.

        `values` float32 [n, k, h, w] are what the network sees of them, where `x` does not say so yet; they are
        overwritten.
        """
        zeros, scale = self.bands.zeros, None
        light = Light(
            self.x[:, part] if values is None else values, None if self.missing is None else self.missing[:, part]
        )
        if zeros is not None:
            zeros = on_device(zeros[part], self.x)
            light.unit.sub_(zeros)
        light.settle()
        if zeros is not None:
            scale = light.unit.amax(dim=(-2, -1), keepdim=True)
            scale = torch.where(scale > _EPS, scale, torch.ones_like(scale))
            light.unit.div_(scale)
        yield light
        unit = light.unit
        if zeros is None or scale is None:
            unit = (
                torch.clamp(unit, 0.0, 1.0, out=self.x[:, part]) if isinstance(part, slice) else unit.clamp_(0.0, 1.0)
            )
        else:
            unit.mul_(scale).add_(zeros)
        if light.missing is not None:
            unit.masked_fill_(light.missing, self.bands.fill)
        if unit.data_ptr() != self.x[:, part].data_ptr():
            self.x[:, part] = unit


def per_patch(values: Tensor, like: Tensor) -> Tensor:
    """[n] on the CPU → [n, 1, 1, 1] on the device of `like`."""
    return on_device(values, like)[:, None, None, None]


def on_device(values: Tensor, like: Tensor) -> Tensor:
    """`values` on the device of `like`; what is queued on it is not waited for."""
    return values.to(like.device, non_blocking=True)
