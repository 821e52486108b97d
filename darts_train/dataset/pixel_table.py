"""A table of training pixels, drawn from patches one by one in bounded memory.

Pixels fall into strata: one for each foreground class, one for the ring around foreground (where mistakes are made),
and one for all others. Each stratum keeps a uniform draw without replacement of at most `limit` pixels: every pixel
gets a random key, and the pixels with the least keys stay (Efraimidis and Spirakis 2006, with equal weights).
A kept pixel of a stratum counts for as many as it stands for, so that what learns from the table meets the true
frequencies, however the strata were bounded.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

Floats = NDArray[np.float32]
RING, OTHERS = "ring", "others"


@dataclass(frozen=True, eq=False)
class PixelTable:
    """Drawn pixels.

    Attributes:
        x: float32 [n, c].
        y: uint8 [n], class index.
        weight: float64 [n], how many pixels each stands for (1 or more), divided by the mean.
        drawn: of each stratum (pixels there are, pixels kept).
    """

    x: Floats
    y: NDArray[np.uint8]
    weight: NDArray[np.float64]
    drawn: dict[str, tuple[int, int]]


class _Stratum:
    """The pixels with the least keys so far; never holds more than twice the limit and one patch."""

    def __init__(self, limit: int, bands: int) -> None:
        self.limit = limit
        self.seen = 0
        self._bound = np.inf  # no pixel with a greater key can stay
        self._keys = np.empty(0, np.float64)
        self._x, self._y = np.empty((0, bands), np.float32), np.empty(0, np.uint8)
        self._waiting: list[tuple[NDArray[np.float64], Floats, NDArray[np.uint8]]] = []

    def add(self, x: Floats, y: NDArray[np.uint8], rng: np.random.Generator) -> None:
        """Pixels x [n, c] and y [n]."""
        keys = rng.random(len(y))
        self.seen += len(y)
        low = keys < self._bound
        self._waiting.append((keys[low], x[low], y[low]))
        if sum(len(part[0]) for part in self._waiting) >= self.limit:
            self._settle()

    def kept(self) -> tuple[Floats, NDArray[np.uint8]]:
        self._settle()
        return self._x, self._y

    def _settle(self) -> None:
        parts = [(self._keys, self._x, self._y), *self._waiting]
        keys, x, y = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        self._waiting = []
        if len(keys) > self.limit:
            least = np.sort(np.argpartition(keys, self.limit - 1)[: self.limit])  # in the order they came
            keys, x, y = keys[least], x[least], y[least]
            self._bound = float(keys.max())
        self._keys, self._x, self._y = keys, x, y


class PixelSampler:
    """Takes patches, gives a table.

    Args:
        classes: Names of all classes, background first.
        bands: Number of bands.
        ignore_index: Class of pixels that are left out; so is what is no class.
        limit: Pixels kept of each stratum at most.
        ring_width: Pixels (as a chessboard's king walks) from foreground to the outer edge of the ring; 0: no ring.
        seed: Of the draw. It depends on the seed and the numbers of the patches, not on their order in memory.
    """

    def __init__(
        self, classes: Sequence[str], bands: int, ignore_index: int, limit: int, ring_width: int, seed: int
    ) -> None:
        self.classes, self.ignore_index = tuple(classes), ignore_index
        self.ring_width, self.seed = ring_width, seed
        self._strata = {name: _Stratum(limit, bands) for name in (*self.classes[1:], RING, OTHERS)}

    def add(self, patch: int, x: Floats, y: NDArray[np.uint8]) -> None:
        """Add patch number `patch`: x float32 [c, h, w], y uint8 [h, w]."""
        columns = x.reshape(len(x), -1).T
        for number, (name, where) in enumerate(self._parts(y).items()):
            chosen = np.flatnonzero(where)
            if len(chosen):
                rng = np.random.default_rng([self.seed, patch, number])
                self._strata[name].add(columns[chosen], y.ravel()[chosen], rng)

    def table(self) -> PixelTable:
        """What was drawn; without a single pixel the table has no rows."""
        parts = {name: (stratum, *stratum.kept()) for name, stratum in self._strata.items()}
        weight = np.concatenate([np.full(len(y), s.seen / max(len(y), 1)) for s, _, y in parts.values()])
        return PixelTable(
            x=np.concatenate([x for _, x, _ in parts.values()]),
            y=np.concatenate([y for _, _, y in parts.values()]),
            weight=weight / weight.mean() if len(weight) else weight,
            drawn={name: (s.seen, len(y)) for name, (s, _, y) in parts.items()},
        )

    def _parts(self, y: NDArray[np.uint8]) -> dict[str, NDArray[np.bool_]]:
        valid = (y != self.ignore_index) & (y < len(self.classes))
        foreground = valid & (y > 0)
        near = maximum_filter(foreground.view(np.uint8), 2 * self.ring_width + 1, mode="constant", cval=0) > 0
        background = valid & ~foreground
        parts = {name: foreground & (y == k) for k, name in enumerate(self.classes[1:], start=1)}
        return parts | {RING: background & near, OTHERS: background & ~near}
