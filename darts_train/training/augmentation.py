"""Augmentation of whole batches on the training device, every patch with a draw of its own.

In this order: one of the eight symmetries of the square (flips and quarter turns; image and labels alike), brightness
and contrast, multiplicative noise; the latter two with probability 0.5 each. Strengths are those of Albumentations'
defaults: contrast and brightness ±0.2, noise 0.9 to 1.1 per pixel and band. They alter optical bands only (a slope or
a DEM means what it says), results are clipped to [0, 1], and no-data pixels keep their fill.

Brightness is a share of the band's own mean in the patch (Albumentations' `brightness_by_max=False`), not of the
range: a shift of 0.2 in reflectance turns water into cloud, and what was learned from such patches did worse on a
sensor that was never seen (0.790 against 0.807 IoU after the same steps on the bundled scenes).

All draws come from one generator that is made anew for every step, from the run's seed and the step.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from darts_train.models.input_spec import NODATA_INT16
from darts_train.training.seeds import STEP, mixed_seed

PROBABILITY = 0.5
BRIGHTNESS = CONTRAST = 0.2
NOISE = (0.9, 1.1)


def step_generator(seed: int, step: int, device: torch.device) -> torch.Generator:
    """The generator of one training step."""
    return torch.Generator(device).manual_seed(mixed_seed(seed, STEP, step))


def augmented_batch(
    codes: Tensor,
    y: Tensor,
    decode: Callable[[Tensor], Tensor],
    optical: Sequence[bool],
    fill: float,
    generator: torch.Generator,
    zeros: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """A batch as a training step sees it: symmetries, decoding, brightness and contrast, noise.

    Args:
        codes: encoded or float patches [n, c, h, h].
        y: classes [n, h, h].
        decode: What makes float32 of codes, patch by patch alike (`models.input_spec.InputLayer`).
        optical: Whether band i is optical.
        fill: What stands for no data.
        generator: Source of all draws, on the device of `codes`.
        zeros: See `photometric`.

    Returns:
        x float32 [n, c, h, h] and y [n, h, h]. On the CPU one patch is finished before the next is begun, which gives
        the same bits in a quarter of the time: what does not fit into the processor's cache, or is given back to the
        system after every operation, costs more than the arithmetic.
    """
    if codes.device.type == "cpu" and len(codes):
        return _patchwise(codes, y, decode, optical, fill, generator, zeros)
    codes, y = random_symmetry(codes, y, generator)
    return photometric(decode(codes), missing_values(codes), optical, fill, generator, zeros), y


def _patchwise(
    codes: Tensor,
    y: Tensor,
    decode: Callable[[Tensor], Tensor],
    optical: Sequence[bool],
    fill: float,
    generator: torch.Generator,
    zeros: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """`augmented_batch`, patch by patch, with the draws of the whole batch in their order."""
    mirror, upend, transpose = (toss.flatten().tolist() for toss in _coins(3, codes, generator))
    change = _Photometry(codes, optical, fill, generator, zeros) if any(optical) else None
    # Columns of y lie together in memory, as where() in random_symmetry leaves them: sums over it follow memory.
    x, moved = torch.empty(codes.shape, dtype=torch.float32), _transpose(torch.empty_like(y))
    for i in range(len(codes)):
        axes = [axis for axis, toss in ((-1, mirror[i]), (-2, upend[i])) if toss]
        patch, classes = (part.flip(axes) if axes else part for part in (codes[i], y[i]))
        if transpose[i]:
            patch, classes = _turned(patch), _transpose(classes)
        moved[i] = classes
        values = decode(patch[None])[0]
        if change is None:
            x[i] = values
        else:
            change(i, values, missing_values(patch), x[i])
    return x, moved


class _Photometry:
    """`photometric` for one patch after the other, from the first on: noise is drawn as they come."""

    def __init__(
        self, batch: Tensor, optical: Sequence[bool], fill: float, generator: torch.Generator, zeros: Tensor | None
    ) -> None:
        self.fill, self.generator, self.zeros = fill, generator, zeros
        self.optical = None if all(optical) else torch.tensor(list(optical))[:, None, None]
        self.is_brighter = _coins(1, batch, generator)[0].flatten().tolist()
        self.contrast = (1.0 + CONTRAST * _uniform(batch, generator))[:, 0]
        self.brightness = (BRIGHTNESS * _uniform(batch, generator))[:, 0]
        self.is_noisy = _coins(1, batch, generator)[0].flatten().tolist()
        self.factor = torch.empty(batch.shape[1:], dtype=torch.float32)
        self.along_columns = not batch.is_floating_point()  # how decoded codes lie in memory after random_symmetry

    def __call__(self, i: int, x: Tensor, missing: Tensor, out: Tensor) -> None:
        """Write patch i, float32 [c, h, w], into `out`; `x` is left as it is."""
        self.factor.uniform_(*NOISE, generator=self.generator)  # for every patch, as for a batch
        gaps = bool(missing.any())
        touched = light = x if self.zeros is None else x - self.zeros
        if self.is_brighter[i]:
            pixels = x.shape[-2] * x.shape[-1]
            means = _means(light, missing) if gaps else light.sum(dim=(-2, -1), keepdim=True) / pixels
            touched = (light * self.contrast[i]).add_(self.brightness[i] * means)
        if self.is_noisy[i]:
            factor = _turned(self.factor) if self.along_columns else self.factor
            touched = factor.mul_(touched) if self.along_columns else touched * factor
        out.copy_(touched.clamp(0.0, 1.0) if self.zeros is None else touched + self.zeros)
        if gaps:
            out.masked_fill_(missing, self.fill)
        if self.optical is not None:
            out.copy_(torch.where(self.optical, out, x))


def _turned(x: Tensor) -> Tensor:
    """[c, h, h] transposed and contiguous, band by band: torch has a fast way for matrices only."""
    out = torch.empty_like(x)
    for band, source in zip(out, x, strict=True):
        band.copy_(source.T)
    return out


def random_symmetry(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Turn and flip every patch: x [n, c, h, h] and y [n, h, h] of any dtype, moved alike, values untouched.

    Three independent coin tosses (mirror, upend, transpose) make each of the eight symmetries equally likely.
    """
    mirror, upend, transpose = _coins(3, x, generator)
    for toss, move in ((mirror, _mirror), (upend, _upend), (transpose, _transpose)):
        x, y = torch.where(toss, move(x), x), torch.where(toss[:, 0], move(y), y)
    return x, y


def photometric(
    x: Tensor,
    missing: Tensor,
    optical: Sequence[bool],
    fill: float,
    generator: torch.Generator,
    zeros: Tensor | None = None,
) -> Tensor:
    """Brightness, contrast and noise on the optical bands.

    Args:
        x: float32 [n, c, h, w] as the network sees it, in [0, 1] unless `zeros` are given.
        missing: bool [n, c, h, w], True where there is no data; `fill` is written there again.
        optical: Whether band i is optical; the others are returned as they came.
        fill: What stands for no data.
        generator: Source of all draws, on the device of `x`.
        zeros: float32 [c, 1, 1], what stands for no light at all where that is not 0; nothing is clipped then.

    Returns:
        float32 [n, c, h, w]; `x` itself where no band is optical.
    """
    if not any(optical):
        return x
    light = x if zeros is None else x - zeros
    touched = _noise(_brightness_contrast(light, _means(light, missing), generator), generator)
    touched = touched.clamp(0.0, 1.0) if zeros is None else touched + zeros
    is_optical = torch.tensor(list(optical)).to(x.device, non_blocking=True)[:, None, None]  # else CUDA is waited for
    return torch.where(is_optical, touched.masked_fill(missing, fill), x)


def missing_values(x: Tensor) -> Tensor:
    """bool, True where encoded (int16) or float input has no data."""
    return x.isnan() if x.is_floating_point() else x == NODATA_INT16


def _brightness_contrast(x: Tensor, means: Tensor, generator: torch.Generator) -> Tensor:
    (toss,) = _coins(1, x, generator)
    contrast = 1.0 + CONTRAST * _uniform(x, generator)
    brightness = BRIGHTNESS * _uniform(x, generator) * means
    return torch.where(toss, x * contrast + brightness, x)


def _means(x: Tensor, missing: Tensor) -> Tensor:
    """Mean of every band of every patch over its pixels with data, float32 [n, c, 1, 1]; 0 without any."""
    valid = ~missing
    count = valid.sum(dim=(-2, -1), keepdim=True).clamp(min=1)
    return x.masked_fill(missing, 0.0).sum(dim=(-2, -1), keepdim=True) / count


def _noise(x: Tensor, generator: torch.Generator) -> Tensor:
    (toss,) = _coins(1, x, generator)
    factor = torch.empty_like(x).uniform_(*NOISE, generator=generator)
    return torch.where(toss, x * factor, x)


def _coins(count: int, x: Tensor, generator: torch.Generator) -> list[Tensor]:
    """`count` bool tensors [n, 1, 1, 1], True with probability 0.5."""
    tosses = torch.rand((count, len(x), 1, 1, 1), generator=generator, device=x.device) < PROBABILITY
    return list(tosses)


def _uniform(x: Tensor, generator: torch.Generator) -> Tensor:
    """float32 [n, 1, 1, 1] in [-1, 1)."""
    return 2.0 * torch.rand((len(x), 1, 1, 1), generator=generator, device=x.device) - 1.0


def _mirror(t: Tensor) -> Tensor:
    return t.flip(-1)


def _upend(t: Tensor) -> Tensor:
    return t.flip(-2)


def _transpose(t: Tensor) -> Tensor:
    return t.transpose(-1, -2)
