"""All augmentations by name, with their parameters. Names and meanings are Albumentations', defaults are ours.

The defaults differ from Albumentations' where those were chosen for photos: brightness is a share of the mean (see
`augmentation/usual.py`), noise is weaker and every pixel's and band's own, crops keep half of the patch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from darts_train.training.augmentation import blur as blurs
from darts_train.training.augmentation import erasing, geometric, photometric
from darts_train.training.augmentation.draws import Draws
from darts_train.training.augmentation.parameters import Parameter, flag, interval, symmetric

Of = Literal["square", "patch", "band", "colours"]


@dataclass(frozen=True)
class Group:
    """Steps that belong together, and the group's parameters (`p`, which chooses patches, among them)."""

    parameters: Mapping[str, Parameter]


@dataclass(frozen=True)
class Operation(Group):
    """What is done to all of the patches that were chosen, and its parameters.

    `apply(target, draws, values)` depends on what it is an operation `of`. The `square`: it gets a number of patches
    and says a symmetry for each. A `patch`: it changes `Patches`. A `band`, each optical one for itself, or the
    `colours` red, green and blue together: it changes their `Light`.
    """

    of: Of
    apply: Callable[[Any, Draws, Mapping[str, Any]], Any]


def _operation(
    of: Of, apply: Callable[[Any, Draws, Mapping[str, Any]], Any], p: float = 0.5, **parameters: Parameter
) -> Operation:
    return Operation({**parameters, "p": _chance(p)}, of, apply)


def _chance(p: float) -> Parameter:
    return Parameter("number", p, 0.0, 1.0)


def _whole(low: float, high: float, least: float, most: float = 1e4, start: float | None = None) -> Parameter:
    return Parameter("interval", (low, high), least, most, whole=True, start=start)


_SIDE = interval(0.1, 0.2, 0.0, 1e4)
_BLUR = _whole(3, 7, 1, 99, start=3)

OPERATIONS: dict[str, Operation] = {
    "HorizontalFlip": _operation("square", geometric.horizontal_flip),
    "VerticalFlip": _operation("square", geometric.vertical_flip),
    "RandomRotate90": _operation("square", geometric.random_rotate_90),
    "D4": _operation("square", geometric.d4, 1.0),
    "Rotate": _operation("patch", geometric.rotate, limit=symmetric(90, 360)),
    "Affine": _operation(
        "patch",
        geometric.affine,
        scale=interval(1, 1, 0.05, 20),
        translate_percent=symmetric(0, 1),
        rotate=symmetric(0, 360),
        shear=symmetric(0, 40),
        keep_ratio=flag(False),
    ),
    "Perspective": _operation("patch", geometric.perspective, scale=interval(0.05, 0.1, 0, 0.3, start=0)),
    "RandomResizedCrop": _operation(
        "patch",
        geometric.random_resized_crop,
        1.0,
        scale=interval(0.5, 1, 0.01, 1),
        ratio=interval(3 / 4, 4 / 3, 0.1, 10),
    ),
    "Blur": _operation("band", blurs.blur, blur_limit=_BLUR),
    "MotionBlur": _operation("band", blurs.motion_blur, blur_limit=_BLUR),
    "GaussianBlur": _operation(
        "band", blurs.gaussian_blur, sigma_limit=interval(0.5, 3, 0, 30, start=0), blur_limit=_whole(0, 0, 0, 99)
    ),
    "RandomBrightnessContrast": _operation(
        "band",
        photometric.brightness_contrast,
        brightness_limit=symmetric(0.2, 1),
        contrast_limit=symmetric(0.2, 1),
        brightness_by_max=flag(False),
    ),
    "HueSaturationValue": _operation(
        "colours",
        photometric.hue_saturation_value,
        hue_shift_limit=symmetric(20, 180),
        sat_shift_limit=symmetric(30, 255),
        val_shift_limit=symmetric(20, 255),
    ),
    "RandomGamma": _operation("band", photometric.gamma, gamma_limit=interval(80, 120, 1, 1000)),
    "Posterize": _operation("band", photometric.posterize, 1.0, num_bits=_whole(6, 6, 1, 8)),
    "MultiplicativeNoise": _operation(
        "band",
        photometric.multiplicative_noise,
        multiplier=interval(0.9, 1.1, 0, 10),
        per_channel=flag(True),
        elementwise=flag(True),
    ),
    "GaussNoise": _operation(
        "band",
        photometric.gauss_noise,
        std_range=interval(0.02, 0.044, 0, 1, start=0),
        mean_range=interval(0, 0, -1, 1),
        per_channel=flag(True),
    ),
    "CoarseDropout": _operation(
        "patch",
        erasing.coarse_dropout,
        num_holes_range=_whole(1, 2, 1, 1000),
        hole_height_range=_SIDE,
        hole_width_range=_SIDE,
        ignore=flag(True),
    ),
    "BandDropout": _operation("patch", erasing.band_dropout, num_bands_range=_whole(1, 1, 1, 1000)),
}
GROUPS: dict[str, Group] = {"OneOf": Group({"p": _chance(0.5)}), "Sequential": Group({"p": _chance(0.5)})}
