"""Test-time augmentation: the same window, mirrored and turned, and the mean of what the network says.

A square has eight symmetries, the group D4: four turns, and the four mirror images of these. Each is applied once to
the codes, and undone in the probabilities, which are merged (never logits: of negative ones there is no geometric
mean). A network that is certain in one direction and doubtful in another becomes as good as their mean.

Bands that say a direction (aspect, hillshade) are not mirrored in what they say: with them the network sees ground that
cannot be, and augmentation is of little use.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from darts_train.inference.backends.protocol import Codes

Probabilities = npt.NDArray[np.float32]

# (quarter turns, mirrored left to right first)
SETS: dict[str, tuple[tuple[int, bool], ...]] = {
    "none": ((0, False),),
    "flips": ((0, False), (0, True), (2, False), (2, True)),
    "d4": tuple((turns, flip) for flip in (False, True) for turns in range(4)),
}
MERGES = ("mean", "max", "min", "gmean")


def applied(image: Codes, turns: int, flip: bool) -> Codes:
    """The image [..., h, w], mirrored left to right where `flip`, then turned: [..., w, h] for odd `turns`."""
    return np.rot90(image[..., ::-1] if flip else image, turns, axes=(-2, -1))


def undone(image: Probabilities, turns: int, flip: bool) -> Probabilities:
    """The image of which `applied` made this one."""
    turned = np.rot90(image, -turns, axes=(-2, -1))
    return turned[..., ::-1] if flip else turned


def augmented(
    probabilities: Callable[[Codes], Probabilities], codes: Codes, symmetries: str = "d4", merge: str = "mean"
) -> Probabilities:
    """Probabilities float32 [n, k, h, w] of codes uint16 [n, c, h, w], merged over the symmetries of a name in SETS.

    Of several classes (k > 1) the greatest, least and geometric means do not sum to 1 and are divided by their sum;
    where all are 0 they stay so. Where all symmetries say the same, that is the result, to the bit but for that
    division.
    """
    if symmetries == "none":
        return probabilities(codes)
    found = (undone(probabilities(np.ascontiguousarray(applied(codes, *one))), *one) for one in SETS[symmetries])
    merged = _MERGED[merge](found)
    if merge == "mean" or merged.shape[1] == 1:
        return merged
    total = merged.sum(axis=1, keepdims=True)
    np.divide(merged, total, out=merged, where=total > 0)
    return merged


def _mean(found: Iterator[Probabilities]) -> Probabilities:
    """The mean as it goes, which of equal numbers is that number."""
    mean = next(found).copy()
    for count, one in enumerate(found, 2):
        mean += (one - mean) / np.float32(count)
    return mean


def _extreme(ufunc: np.ufunc) -> Callable[[Iterator[Probabilities]], Probabilities]:
    def merged(found: Iterator[Probabilities]) -> Probabilities:
        extreme = next(found).copy()
        for one in found:
            ufunc(extreme, one, out=extreme)
        return extreme

    return merged


def _geometric(found: Iterator[Probabilities]) -> Probabilities:
    """exp(mean of logarithms); 0 where one is. Kept between the least and the greatest, against rounding."""
    first = next(found)
    low, high = first.copy(), first.copy()
    with np.errstate(divide="ignore"):
        logs, count = np.log(first), 1
        for count, one in enumerate(found, 2):  # noqa: B007
            logs += np.log(one)
            np.minimum(low, one, out=low)
            np.maximum(high, one, out=high)
    return np.clip(np.exp(logs / np.float32(count)), low, high)


_MERGED = {"mean": _mean, "max": _extreme(np.maximum), "min": _extreme(np.minimum), "gmean": _geometric}
