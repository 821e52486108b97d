"""Augmentations of light: optical bands only, as shares of a greatest value (`Patches.light`); no data stays."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from darts_train.training.augmentation_patches import Draws, Patches, per_patch

Values = Mapping[str, Any]


def brightness_contrast(patches: Patches, draws: Draws, values: Values) -> Patches:
    """Times 1 + contrast, plus brightness of the band's mean in the patch or (`brightness_by_max`) of its range."""
    light, count = patches.light(), len(patches)
    contrast = per_patch(1.0 + draws.uniform(count, values["contrast_limit"]), patches.x)
    brightness = per_patch(draws.uniform(count, values["brightness_limit"]), patches.x)
    if not values["brightness_by_max"]:
        valid = (~patches.missing).sum(dim=(-2, -1), keepdim=True).clamp(min=1)
        brightness = brightness * light.unit.sum(dim=(-2, -1), keepdim=True) / valid
    return patches.with_light(replace(light, unit=light.unit * contrast + brightness))


def gamma(patches: Patches, draws: Draws, values: Values) -> Patches:
    """To the power of gamma / 100."""
    light = patches.light()
    power = per_patch(draws.uniform(len(patches), values["gamma_limit"]) / 100.0, patches.x)
    return patches.with_light(replace(light, unit=light.unit.clamp(min=0.0) ** power))


def posterize(patches: Patches, draws: Draws, values: Values) -> Patches:
    """The first `num_bits` of eight, the others 0."""
    light = patches.light()
    step = per_patch(2.0 ** (8 - torch.tensor(draws.whole(len(patches), values["num_bits"]))), patches.x)
    bytes_ = (light.unit * 255.0).round()
    return patches.with_light(replace(light, unit=(bytes_ / step).floor() * step / 255.0))


def multiplicative_noise(patches: Patches, draws: Draws, values: Values) -> Patches:
    """Times a factor: one of each pixel (`elementwise`) or patch, and of each band (`per_channel`) or all."""
    light, (low, high) = patches.light(), values["multiplier"]
    sample = _sample(light.unit, values["elementwise"], values["per_channel"])
    return patches.with_light(replace(light, unit=light.unit * (low + (high - low) * draws.pixels(sample))))


def gauss_noise(patches: Patches, draws: Draws, values: Values) -> Patches:
    """Plus normal noise; deviation and mean are shares of the range."""
    light, count = patches.light(), len(patches)
    deviation = per_patch(draws.uniform(count, values["std_range"]), patches.x)
    mean = per_patch(draws.uniform(count, values["mean_range"]), patches.x)
    noise = draws.normal(_sample(light.unit, True, values["per_channel"])) * deviation + mean
    return patches.with_light(replace(light, unit=light.unit + noise))


def hue_saturation_value(patches: Patches, draws: Draws, values: Values) -> Patches:
    """Shifts of hue, saturation and value of red, green and blue, in OpenCV's units for bytes: 180, 255, 255.

    `Bands.rgb` must be known.
    """
    assert patches.bands.rgb is not None
    light, rgb, count = patches.light(), list(patches.bands.rgb), len(patches)
    shifts = [
        per_patch(draws.uniform(count, values[f"{name}_shift_limit"]) / whole, patches.x)[:, 0]
        for name, whole in (("hue", 180.0), ("sat", 255.0), ("val", 255.0))
    ]
    hue, saturation, value = _hsv(light.unit[:, rgb].clamp(0.0, 1.0))
    shifted = _rgb((hue + shifts[0]) % 1.0, (saturation + shifts[1]).clamp(0, 1), (value + shifts[2]).clamp(0, 1))
    unit = light.unit.clone()
    unit[:, rgb] = shifted
    return patches.with_light(replace(light, unit=unit))


def _sample(unit: Tensor, elementwise: bool, per_channel: bool) -> Tensor:
    """A view of the shape in which noise is drawn."""
    part = unit if per_channel else unit[:, :1]
    return part if elementwise else part[..., :1, :1]


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
