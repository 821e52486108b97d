"""What augmentation is when nothing else is said, and what all of its parts share.

By default (`USUAL`): one of the eight symmetries of the square, image and labels alike; brightness and contrast ±0.2;
multiplicative noise of 0.9 to 1.1 per pixel and band; the latter two with a chance of one half each.

Brightness is a share of the band's own mean in the patch (Albumentations' `brightness_by_max=False`), not of the
range: a shift of 0.2 in reflectance turns water into cloud, and what was learned from such patches did worse on a
sensor that was never seen (0.790 against 0.807 IoU after the same steps on the bundled scenes).
"""

from torch import Tensor

from darts_train.models.input_spec import NODATA_INT16
from darts_train.training.seeds import STEP, mixed_seed

USUAL = ("D4", "RandomBrightnessContrast", "MultiplicativeNoise")


def step_seed(seed: int, step: int) -> int:
    """The seed of all draws of one training step of a run."""
    return mixed_seed(seed, STEP, step)


def missing_values(x: Tensor) -> Tensor:
    """bool, True where encoded (int16) or float input has no data."""
    return x.isnan() if x.is_floating_point() else x == NODATA_INT16


def has_missing_values(x: Tensor) -> bool:
    """Whether there may be any: certain for encoded (int16) input, and for float input but where it is infinite.

    For the CPU; a device would have to be waited for. Far quicker than looking for them.
    """
    if not x.numel():
        return False
    if x.is_floating_point():
        return bool(x.sum().isnan())
    return int(x.numpy().view("uint16").max()) == NODATA_INT16 + 2**16
