"""How well outlines agree: the IoU of the bands of pixels along them.

Boundary IoU after Cheng et al. (2021, "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation"): the
boundary of a mask is what lies within d pixels of its outside, the mask less its erosion by a 3x3 square, d times; d is
2 % of the image's diagonal. The outside of the image counts as outside, as in the authors' code. Each image is eroded
for itself, and intersections and unions are Python integers: no batch can change another, nothing wraps.

Ignored pixels are taken from both masks before the erosion, so a prediction that is right at every valid pixel scores
1. An image where both masks are empty adds nothing; where all are, there is no score: NaN.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter

SHARE = 0.02  # of the diagonal
Mask = NDArray[np.bool_]


def boundary_width(shape: tuple[int, int]) -> int:
    """The width d in pixels for an image of [h, w]: 2 % of its diagonal, rounded, at least 1."""
    return max(1, round(SHARE * math.hypot(*shape)))


def boundary(mask: Mask, width: int) -> Mask:
    """The pixels of a bool [h, w] mask that a 3x3 erosion, `width` times, takes away.

    Eroding d times by a 3x3 square is once by one of 2d + 1, which separates into rows and columns: its cost does not
    depend on d.
    """
    if not mask.any():
        return np.zeros(mask.shape, bool)
    inner = minimum_filter(mask.view(np.uint8), size=2 * width + 1, mode="constant", cval=0)
    edge: Mask = mask & (inner == 0)
    return edge


class BoundaryIoU:
    """Boundary IoU of one class over any number of images."""

    def __init__(self) -> None:
        self.intersection = 0
        self.union = 0

    def update(self, truth: Mask, predicted: Mask, ignored: Mask) -> None:
        """Add one image, all bool [h, w]."""
        width = boundary_width((truth.shape[0], truth.shape[1]))
        true_edge, edge = (boundary(mask & ~ignored, width) for mask in (truth, predicted))
        self.intersection += int((true_edge & edge).sum())
        self.union += int((true_edge | edge).sum())

    def compute(self) -> float:
        """Intersection over union of the boundaries so far; NaN where there were none."""
        return self.intersection / self.union if self.union else math.nan
