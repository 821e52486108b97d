"""Opening, closing and median of class maps, where pixels without data, and those outside, take no side.

All is done on the part of the plane that is known: a pixel's neighbourhood is what of its square has data. So an object
at the edge of a scene is not eaten from outside, and opening and closing stay what they are (they shrink, they grow,
twice is once). Squares, as OpenCV's and habitat-mapper's. `size` is the side of the square, odd; each function looks at
`size // 2` pixels around a pixel, opening and closing at twice as many.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

Classes = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def eroded(mask: Mask, known: Mask, size: int) -> Mask:
    """Pixels of a mask bool [h, w] whose known neighbours are all in it."""
    inside: Mask = minimum_filter((mask | ~known).view(np.uint8), size=size, mode="constant", cval=1) > 0
    return inside & known


def dilated(mask: Mask, known: Mask, size: int) -> Mask:
    """Known pixels that have a neighbour in a mask bool [h, w]."""
    reached: Mask = maximum_filter((mask & known).view(np.uint8), size=size, mode="constant", cval=0) > 0
    return reached & known


def opened(classes: Classes, known: Mask, size: int, count: int) -> Classes:
    """Class indices uint8 [h, w] without what of a foreground class is narrower than the square: it becomes 0."""
    result = classes.copy()
    for index in range(1, count):
        mask = (classes == index) & known
        if mask.any():
            result[mask & ~dilated(eroded(mask, known, size), known, size)] = 0
    return result


def closed(classes: Classes, known: Mask, size: int, count: int) -> Classes:
    """Class indices uint8 [h, w] with background narrower than the square given to the class around it.

    Only background is given away; of two classes that reach a pixel the lower index takes it.
    """
    result = classes.copy()
    for index in range(1, count):
        mask = (classes == index) & known
        if mask.any():
            whole = eroded(dilated(mask, known, size), known, size)
            result[whole & known & (result == 0)] = index
    return result


def majority(classes: Classes, known: Mask, size: int, count: int) -> Classes:
    """Every known pixel becomes the most frequent class of the known pixels in its square.

    Of equal ones its own class, else the lowest index. With two classes this is the median.
    """
    best, votes = np.zeros(classes.shape, np.uint8), np.full(classes.shape, -1, np.int32)
    for index in range(count):
        own = (classes == index) & known
        ballot = 2 * box_sum(own, size) + own
        ahead = ballot > votes
        best[ahead], votes[ahead] = index, ballot[ahead]
    return np.where(known, best, classes)


def box_sum(mask: Mask, size: int) -> NDArray[np.int32]:
    """How many pixels of a mask bool [h, w] lie in the square around each pixel, int32 [h, w]; none outside."""
    reach = size // 2
    total = np.pad(mask, ((reach + 1, reach), (reach + 1, reach))).cumsum(0, np.int32).cumsum(1, np.int32)
    lower, upper = slice(size, None), slice(None, -size)
    box: NDArray[np.int32] = total[lower, lower] - total[upper, lower] - total[lower, upper] + total[upper, upper]
    return box
