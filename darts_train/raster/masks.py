"""Masks: shrinking the area that is trusted."""

import numpy as np
from scipy.ndimage import distance_transform_edt

_BLOCK = 256  # pixels


def erode_valid(mask: np.ndarray, radius: int, edge: int = 0) -> np.ndarray:
    """Shrink a mask by a disc.

    A pixel stays where every pixel within `radius` (Euclidean, pixel centres) is valid. Computed by the distance
    transform, so the cost does not grow with the radius. What lies outside the array does not shrink it: whoever
    works by windows reads `radius` pixels more on each side; whoever holds a whole image gives `edge`.

    Args:
        mask: bool [h, w], true where valid.
        radius: pixels, 0 for none.
        edge: width of a frame along the border of the array that becomes invalid, pixels.

    Returns:
        bool [h, w], never true where `mask` is not. An empty array gives an empty array.
    """
    kept = mask.astype(bool)  # a copy
    if radius > 0:
        _erode(kept, mask.astype(bool), radius)
    if edge > 0:
        kept[:edge], kept[-edge:], kept[:, :edge], kept[:, -edge:] = False, False, False, False
    return kept


def _erode(kept: np.ndarray, mask: np.ndarray, radius: int) -> None:
    """Write into `kept` block by block: most blocks are whole, and cost nothing."""
    height, width = mask.shape
    for top in range(0, height, _BLOCK):
        for left in range(0, width, _BLOCK):
            y, x = max(0, top - radius), max(0, left - radius)
            around = mask[y : top + _BLOCK + radius, x : left + _BLOCK + radius]
            if not around.all():
                block = kept[top : top + _BLOCK, left : left + _BLOCK]
                far = distance_transform_edt(around) > radius
                block[:] = far[top - y : top - y + block.shape[0], left - x : left - x + block.shape[1]]
