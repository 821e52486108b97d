"""Augmentations of light: optical bands only, as shares of a greatest value; no data stays (`Light`)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from darts_train.training.augmentation.draws import NOISE, Draws
from darts_train.training.augmentation.patches import Light, per_patch

Values = Mapping[str, Any]


def brightness_contrast(light: Light, draws: Draws, values: Values) -> None:
    """Times 1 + contrast, plus brightness of the band's mean in the patch or (`brightness_by_max`) of its range."""
    unit, count = light.unit, len(light)
    contrast = per_patch(1.0 + draws.uniform(count, values["contrast_limit"]), unit)
    brightness = per_patch(draws.uniform(count, values["brightness_limit"]), unit)
    if not values["brightness_by_max"]:
        brightness = brightness * light.means()
    unit.mul_(contrast).add_(brightness)


def gamma(light: Light, draws: Draws, values: Values) -> None:
    """To the power of gamma / 100."""
    power = per_patch(draws.uniform(len(light), values["gamma_limit"]) / 100.0, light.unit)
    light.unit.clamp_(min=0.0).pow_(power)


def posterize(light: Light, draws: Draws, values: Values) -> None:
    """The first `num_bits` of eight, the others 0."""
    step = per_patch(2.0 ** (8 - torch.tensor(draws.whole(len(light), values["num_bits"]))), light.unit)
    light.unit.mul_(255.0).round_().div_(step).floor_().mul_(step / 255.0)


def multiplicative_noise(light: Light, draws: Draws, values: Values) -> None:
    """Times a factor: one of each pixel (`elementwise`) or patch, and of each band (`per_channel`) or all."""
    low, high = values["multiplier"]
    middle = (low + high) / 2
    if middle > 0:
        noise = draws.noise(_noise_shape(light, values["elementwise"], values["per_channel"]), values["per_channel"])
        light.unit.addcmul_(light.unit, noise, value=(high - low) / (NOISE * middle))
    if middle != 1:
        light.unit.mul_(middle)


def gauss_noise(light: Light, draws: Draws, values: Values) -> None:
    """Plus normal noise; deviation and mean are shares of the range."""
    count = len(light)
    deviation = per_patch(draws.uniform(count, values["std_range"]), light.unit)
    mean = per_patch(draws.uniform(count, values["mean_range"]), light.unit)
    noise = draws.normal(_noise_shape(light, True, values["per_channel"]), values["per_channel"])
    light.unit.add_(noise.mul_(deviation).add_(mean))


def hue_saturation_value(light: Light, draws: Draws, values: Values) -> None:
    """Shifts of hue, saturation and value, in OpenCV's units for bytes: 180, 255, 255; of red, green and blue alone."""
    count = len(light)
    shifts = [
        per_patch(draws.uniform(count, values[f"{name}_shift_limit"]) / whole, light.unit)[:, 0]
        for name, whole in (("hue", 180.0), ("sat", 255.0), ("val", 255.0))
    ]
    hue, saturation, value = _hsv(light.unit.clamp(0.0, 1.0))
    light.unit.copy_(
        _rgb((hue + shifts[0]) % 1.0, (saturation + shifts[1]).clamp(0, 1), (value + shifts[2]).clamp(0, 1))
    )


def _noise_shape(light: Light, elementwise: bool, per_channel: bool) -> tuple[int, ...]:
    count, bands, height, width = light.unit.shape
    return (count, bands if per_channel else 1, *((height, width) if elementwise else (1, 1)))


def _hsv(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue in turns, saturation, value: [n, h, w] each of [n, 3, h, w] in [0, 1]."""
    red, green, blue = rgb.unbind(1)
    value, low = rgb.amax(1), rgb.amin(1)
    chroma = value - low
    divisor = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    hue = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2.0 + (blue - red) / divisor, 4.0 + (red - green) / divisor),
    )
    saturation = chroma / torch.where(value > 0, value, torch.ones_like(value))
    return (hue / 6.0) % 1.0, saturation, value


def _rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """[n, 3, h, w] of hue in turns, saturation and value."""
    parts = []
    for offset in (5.0, 3.0, 1.0):  # f(n) = v − v s max(0, min(k, 4 − k, 1)), k = (n + 6 hue) mod 6
        k = (offset + 6.0 * hue) % 6.0
        parts.append(value - value * saturation * torch.minimum(k, 4.0 - k).clamp(0.0, 1.0))
    return torch.stack(parts, dim=1)
