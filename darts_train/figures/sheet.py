"""A patch beside its labels as one picture: arrays → uint8 [h, w, 3]."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from darts_train.figures.maps import MISSING, with_classes

PERCENTS = (2.0, 98.0)
GAMMA = 1 / 1.4  # brightens reflectance for the eye
SIDE = 256  # pixels of one half, about
HATCH, HATCH_DARK, HATCH_LIGHT = 8, (104, 104, 104), (186, 186, 186)
GUTTER = 6
Scalar = TypeVar("Scalar", bound=np.generic)


def stretched(bands: NDArray[np.float32], together: bool) -> NDArray[np.uint8]:
    """uint8 [h, w, 3] of float [3, h, w] or [1, h, w], stretched between the 2nd and the 98th percentile.

    Args:
        bands: NaN is no data: grey.
        together: one stretch for all bands, which keeps the hues of red, green and blue; else one for each.
    """
    pixels = np.broadcast_to(bands, (3, *bands.shape[1:])).transpose(1, 2, 0).astype(np.float64)
    valid = np.isfinite(pixels).all(axis=-1)
    picture = np.full(pixels.shape, MISSING, np.uint8)
    if valid.any():
        low, high = np.percentile(pixels[valid], PERCENTS, axis=None if together else 0)
        unit = np.clip((pixels[valid] - low) / np.maximum(high - low, 1e-12), 0.0, 1.0)
        picture[valid] = np.rint(255.0 * unit**GAMMA).astype(np.uint8)
    return picture


def labels_over(picture: NDArray[np.uint8], y: NDArray[np.uint8], ignore_index: int) -> NDArray[np.uint8]:
    """The picture in grey with foreground classes in colour; what is ignored is hatched."""
    grey = np.rint(picture.astype(np.float32).mean(axis=-1, keepdims=True) * 0.7 + 50.0).astype(np.uint8)
    result = with_classes(np.repeat(grey, 3, axis=-1), y, ignore_index)
    rows, columns = np.indices(y.shape)
    stripes = (rows + columns) % HATCH < HATCH // 3
    ignored = y == ignore_index
    result[ignored & stripes] = HATCH_LIGHT
    result[ignored & ~stripes] = HATCH_DARK
    return result


def side_by_side(
    bands: NDArray[np.float32], together: bool, y: NDArray[np.uint8], ignore_index: int
) -> NDArray[np.uint8]:
    """The patch and, right of it, its labels; both about SIDE pixels wide, pixels repeated or left out for it."""
    bands, y = fitted(bands), fitted(y)
    picture = stretched(bands, together)
    gap = np.full((len(picture), GUTTER, 3), 255, np.uint8)
    return np.concatenate([picture, gap, labels_over(picture, y, ignore_index)], axis=1)


def fitted(pixels: NDArray[Scalar]) -> NDArray[Scalar]:
    """An array [..., n, n] enlarged or thinned out by a whole number, so that it is about SIDE wide."""
    side = pixels.shape[-1]
    if side > SIDE:
        step = round(side / SIDE)
        return pixels[..., step // 2 :: step, step // 2 :: step]
    factor = max(1, SIDE // side)
    return np.repeat(np.repeat(pixels, factor, axis=-1), factor, axis=-2)
