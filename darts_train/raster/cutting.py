"""How a scene is cut into the windows of a map: pure arithmetic on one axis, the same for rows and columns.

Windows start on multiples of the network's stride, counted from the scene's first pixel, so that what the network pools
together is the same in every window, and the same as in one pass over the whole scene. Where a scene is longer than a
window, the first one begins before it and the last one ends beyond it, by the halo: a border pixel is in the middle of
what the network sees, and what lies beyond is the scene's mirror image.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from darts_train.raster.blending import Part, axis_parts


@dataclass(frozen=True)
class Cut:
    """Windows of `window` pixels that share at least `overlap`, and how they are joined (see `blending.py`).

    `halo`: pixels at a window's ends that do not count. `stride` of the network, pixels.
    """

    window: int
    overlap: int
    halo: int = 0
    stride: int = 1
    blend: str = "linear"

    @property
    def step(self) -> int:
        """Pixels from one window to the next: a multiple of the stride, unless the overlap leaves less than one."""
        free = self.window - self.overlap
        return free // self.stride * self.stride or free

    def starts(self, size: int) -> list[int]:
        """First pixels of the windows along an axis of `size` pixels.

        A shorter axis has one window, with the scene about in its middle. The last of several is moved back as far as
        its end still reaches the scene's and the halo beyond.
        """
        if size <= self.window:
            return [-((self.window - size) // 2 // self.stride * self.stride)]
        aligned = self.stride if self.step % self.stride == 0 else 1
        border = -(-self.halo // aligned) * aligned
        last = -(-(size + self.halo - self.window) // aligned) * aligned
        return [*range(-border, last, self.step), last]

    def parts(self, size: int) -> list[Part]:
        """What each window counts for along an axis of `size` pixels."""
        return axis_parts(self.starts(size), self.window, size, self.window - self.step, self.halo, self.blend)


def mirrored(start: int, stop: int, size: int) -> npt.NDArray[np.intp]:
    """The pixel of an axis of `size` that stands for each of `start` to `stop - 1`, intp [stop - start].

    Within the axis it is the pixel itself; beyond, the axis is mirrored at its border pixels, again and again.
    """
    if size == 1:
        return np.zeros(stop - start, np.intp)
    period = 2 * (size - 1)
    place = np.arange(start, stop) % period
    return np.minimum(place, period - place)
