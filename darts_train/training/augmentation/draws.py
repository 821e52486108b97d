"""The random numbers of augmentation: all of them functions of one seed, whatever the device."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from darts_train.training.seeds import mixed_seed

_SEEDS = 2**62
NOISE = 2**16  # how many numbers there are for a pixel on the CPU: as many as there are codes


class Draws:
    """Draws from a seed. Numbers for whole patches are drawn on the CPU, so that no device is waited for.

    Args:
        seed: Of everything but the noise of single pixels; two `Draws` of one seed draw the same numbers.
        device: Where noise is wanted.
        part: Of the bands that the noise is for; each part has noise of its own.
    """

    def __init__(self, seed: int, device: torch.device, part: int = 0) -> None:
        self.seed, self.device, self.part = seed, device, part
        self._host = torch.Generator().manual_seed(seed)
        self._noises = 0

    def split(self) -> int:
        """A seed for what comes next."""
        return int(torch.randint(_SEEDS, (), generator=self._host))

    def uniform(self, count: int, limits: tuple[float, float]) -> Tensor:
        """float32 [count] on the CPU, between the limits."""
        low, high = limits
        return low + (high - low) * torch.rand(count, generator=self._host)

    def whole(self, count: int, limits: tuple[float, float]) -> list[int]:
        """Whole numbers, both limits included."""
        return torch.randint(int(limits[0]), int(limits[1]) + 1, (count,), generator=self._host).tolist()

    def chosen(self, count: int, p: float) -> list[int]:
        """Which of `count` patches, each with probability p."""
        return [row for row, toss in enumerate(torch.rand(count, generator=self._host).tolist()) if toss < p]

    def kinds(self, count: int, weights: Sequence[float]) -> list[int]:
        """One of several kinds for each, as likely as its weight."""
        return torch.multinomial(torch.tensor(weights), count, replacement=True, generator=self._host).tolist()

    def order(self, count: int) -> list[int]:
        """A permutation of 0 … count − 1."""
        return torch.randperm(count, generator=self._host).tolist()

    def noise(self, shape: Sequence[int], of_part: bool = True) -> Tensor:
        """float32 on the device, evenly from -NOISE / 2 to NOISE / 2; the same for all parts unless `of_part`."""
        out, seed = torch.empty(tuple(shape), device=self.device), self._noise_seed(of_part)
        if self.device.type != "cpu":
            return out.uniform_(-NOISE / 2, NOISE / 2, generator=torch.Generator(self.device).manual_seed(seed))
        words = np.random.Generator(np.random.SFC64(seed)).integers(2**64, size=-(-out.numel() // 4), dtype="u8")
        bits = torch.from_numpy(words.view(np.int16))[: out.numel()]  # four times as quick as torch's own on a CPU
        return out.copy_(bits.view(out.shape))

    def normal(self, shape: Sequence[int], of_part: bool = True) -> Tensor:
        """float32 on the device, of mean 0 and deviation 1."""
        generator = torch.Generator(self.device).manual_seed(self._noise_seed(of_part))
        return torch.randn(tuple(shape), generator=generator, device=self.device)

    def _noise_seed(self, of_part: bool) -> int:
        self._noises += 1
        return mixed_seed(self.seed, f"noise {self._noises}", self.part if of_part else -1)
