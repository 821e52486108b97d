"""Joining overlapping windows into one map without seams.

Along an axis a window has a weight for each of its pixels: 0 in its outer `halo`, where a network lacks context, up
along a curve over the pixels that it shares with its neighbour, 1, and down again. What counts at a pixel is the mean
of all windows there by these weights, so whatever the sizes, windows and places, the shares of a pixel sum to 1.

The mean is taken as it goes: with s the share of the newcomer in what has come so far, `old + s · (new - old)`. So no
weight has to be accumulated, nothing is divided at the end, and where all windows say the same, their mean is what they
say **to the bit**: new - old is 0. A sum of products of weights, each of them rounded, has no such promise.

Windows lie on a grid, so the mean over a row of windows first and over the rows then is the mean over all of them, and
the arithmetic is that of one axis, twice.

    linear          straight up
    hann            half a cosine
    bartlett-hann   .62 - .48 |x - .5| + .38 cos 2π(x - .5), its rising half (Ha and Pearce 1989)
    gaussian        half a bell, three standard deviations long

The first three sum to 1 with their mirror image; the bell is divided by its sum with it, as everything is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Shares = npt.NDArray[np.float32]

CURVES: dict[str, Callable[[Floats], Floats]] = {
    "linear": lambda u: u,
    "hann": lambda u: (1 - np.cos(np.pi * u)) / 2,
    "bartlett-hann": lambda u: 0.38 + 0.24 * u - 0.38 * np.cos(np.pi * u),
    "gaussian": lambda u: np.exp(-4.5 * (1 - u) ** 2),
}
"""Rise of the weight from u = 0 to u = 1, by the name of the way of blending."""


@dataclass(frozen=True)
class Part:
    """Where one window counts along an axis, in pixels of the scene: from `first` to before `last`.

    `start` is the window's first pixel, which may lie before the scene. Of the pixels from `first` on, as many as
    there are `shares` (float32) hold the mean of earlier windows already; a share is the window's own in
    the new one.
    """

    start: int
    first: int
    last: int
    shares: Shares

    @property
    def held(self) -> int:
        """First pixel that no earlier window holds."""
        return self.first + len(self.shares)

    @property
    def inside(self) -> slice:
        """The pixels that count, within the window."""
        return slice(self.first - self.start, self.last - self.start)


def profile(window: int, halo: int, overlap: int, blend: str) -> Floats:
    """Weights float64 [window] of a window that has neighbours on both sides, before they are divided by their sum.

    0 over `halo` pixels at either end, then up over the `overlap - 2 · halo` pixels that remain of those it shares,
    never 0 there. Where that is more than half a window, up and down meet.
    """
    rise = max(0, overlap - 2 * halo)
    place = np.arange(window) - halo
    up = CURVES[blend](np.clip((place + 1) / (rise + 1), 0.0, 1.0))
    up[place < 0] = 0
    return np.minimum(up, up[::-1])


def axis_parts(
    starts: Sequence[int], window: int, size: int, overlap: int, halo: int = 0, blend: str = "linear"
) -> list[Part]:
    """What each window along one axis counts for.

    Args:
        starts: first pixel of each window, ascending; together the windows must cover 0…size - 1.
        window: pixels of a window, which may reach beyond the scene.
        size: pixels of the axis.
        overlap: pixels that neighbouring windows were asked to share.
        halo: pixels at a window's ends that do not count where it has a neighbour: at most half the overlap.
        blend: a name of CURVES.

    Returns:
        One part per window that counts anywhere, in order. The first window counts up to the scene's first
        pixel and the last one up to its last.

    Raises:
        ValueError: a pixel is covered by no window.
    """
    base = profile(window, min(halo, overlap // 2), overlap, blend)
    top = base.argmax()
    before = np.zeros(size)  # sum of the weights of earlier windows
    parts: list[Part] = []
    for i, start in enumerate(starts):
        weights = base.copy()
        if i == 0:
            weights[:top] = base[top]
        if i == len(starts) - 1:
            weights[top:] = base[top]
        counting = np.flatnonzero(weights) + start
        first, last = max(0, int(counting[0])), min(size, int(counting[-1]) + 1)
        held = max((part.last for part in parts), default=0)
        if first > held:
            raise ValueError(f"windows of {window} at {list(starts)} leave pixels of {size} uncovered")
        if last <= held:
            continue
        own = weights[first - start : last - start]
        before[first:last] += own
        parts.append(Part(start, first, last, (own / before[first:last])[: held - first].astype(np.float32)))
    if not parts or parts[-1].last < size:
        raise ValueError(f"windows of {window} at {list(starts)} leave pixels of {size} uncovered")
    return parts


def take_in(mean: npt.NDArray[np.float32], new: npt.NDArray[np.float32], shares: Shares) -> None:
    """Move a running mean [...] in place towards what a further window says, by its share in it.

    Where both are equal the mean stays, to the bit. Shapes must broadcast; values must be finite.
    """
    mean += shares * (new - mean)
