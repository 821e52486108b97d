"""A map against the truth, over a whole scene: counts of pixels, and what follows from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class MapScore:
    """IoU of each class that truth or map has anywhere, by name; `mean` is over the foreground classes of the truth.

    Classes beyond the truth do not enter the mean: a class that a scene lacks cannot be found there.
    """

    per_class: dict[str, float]
    mean: float


def score_map(
    truth: NDArray[np.uint8], found: NDArray[np.uint8], classes: tuple[str, ...], ignore_index: int = 255
) -> MapScore:
    """Intersection over union, TP / (TP + FP + FN), per class.

    Args:
        truth: uint8 [h, w], class index; pixels of `ignore_index` do not count.
        found: uint8 [h, w], class index; `ignore_index` (no data) is a miss where the truth knows better.
        classes: names; index 0 is the background, which enters the mean only where there are more than two classes.
        ignore_index: the value that stands for no label and for no data.

    Returns:
        The scores; the mean is NaN where the truth has none of the classes that count.

    Raises:
        ValueError: the shapes differ.
    """
    if truth.shape != found.shape:
        raise ValueError(f"truth {truth.shape} and map {found.shape} have different shapes")
    valid = truth != ignore_index
    truth, found = truth[valid], found[valid]
    per_class, counted = {}, []
    for index, name in enumerate(classes):
        inside, mapped = truth == index, found == index
        union = int((inside | mapped).sum())
        if union == 0:
            continue
        per_class[name] = int((inside & mapped).sum()) / union
        if inside.any() and (index > 0 or len(classes) > 2):
            counted.append(per_class[name])
    return MapScore(per_class, float(np.mean(counted)) if counted else float("nan"))
