"""Masks: shrinking the area that is trusted."""

import numpy as np
from scipy.ndimage import distance_transform_edt


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
    if radius > 0 and not kept.all():
        kept = distance_transform_edt(kept) > radius
    if edge > 0:
        kept[:edge], kept[-edge:], kept[:, :edge], kept[:, -edge:] = False, False, False, False
    return kept
