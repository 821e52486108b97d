"""All pairs of vectors whose cosine reaches a threshold, by products of blocks.

Every pair is looked at, so none is missed: 100 000 vectors of 385 numbers are 5 billion pairs and some minutes on two
cores. Of the products only a block is ever in memory; the vectors take n · d · 4 bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK = 2048


@dataclass(frozen=True, eq=False)
class Neighbours:
    """How alike the vectors are.

    Attributes:
        nearest: cosine of each vector with the most alike other one, float32 [n]; -1 where there is no other.
        pairs: number of pairs that reach the threshold.
    """

    nearest: np.ndarray
    pairs: int


class PairSearch:
    """Pairs of unit vectors float32 [n, d] with a cosine of `threshold` or more.

    Iterate over blocks of (one, other), int64 [m] each with one < other, then ask for `neighbours`.
    """

    def __init__(self, vectors: np.ndarray, threshold: float, block: int = BLOCK) -> None:
        self._vectors, self._threshold, self._block = np.ascontiguousarray(vectors, np.float32), threshold, block
        self._nearest = np.full(len(vectors), -1.0, np.float32)
        self._pairs = 0

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        count, step = len(self._vectors), self._block
        for top in range(0, count, step):
            for left in range(top, count, step):
                one, other = self._compare(top, left)
                self._pairs += len(one)
                if len(one):
                    yield one, other

    @property
    def neighbours(self) -> Neighbours:
        """What was seen on the way; of all vectors once the iteration is over."""
        return Neighbours(np.minimum(self._nearest, 1.0), self._pairs)

    def _compare(self, top: int, left: int) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = slice(top, top + self._block), slice(left, left + self._block)
        cosines = self._vectors[rows] @ self._vectors[columns].T
        if top == left:
            np.fill_diagonal(cosines, -1.0)
        best = cosines.max(axis=1)
        np.maximum(self._nearest[rows], best, out=self._nearest[rows])
        if top != left:
            np.maximum(self._nearest[columns], cosines.max(axis=0), out=self._nearest[columns])
        if best.max(initial=-1.0) < self._threshold:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        one, other = np.nonzero(cosines >= self._threshold)
        one, other = one + top, other + left
        upper = one < other
        return one[upper], other[upper]


def widest_gap(nearest: np.ndarray, above: float) -> tuple[float, float] | None:
    """The widest range of angles, with cosines over `above`, in which no unit has its nearest one: its two cosines.

    A threshold anywhere in it finds partners for the same units. None where no cosine is over `above`.
    """
    seen = np.sort(nearest[nearest > above].astype(np.float64))
    if not len(seen):
        return None
    ends = np.concatenate([[max(above, -1.0)], seen])
    place = int(np.argmax(-np.diff(np.arccos(np.clip(ends, -1.0, 1.0)))))
    return float(ends[place]), float(ends[place + 1])


def chance_level(vectors: np.ndarray, draws: int = 200_000, seed: int = 0) -> float:
    """The cosine that fewer than one pair would reach by chance, if unrelated vectors spread as most pairs do.

    Cosines of drawn pairs are made normal by Fisher's transformation (artanh); median and quartiles say where most lie,
    so that related pairs hardly move them. NaN for fewer than three vectors.

    Args:
        vectors: unit vectors float32 [n, d].
        draws: pairs that are looked at, at most.
        seed: of the draw.
    """
    count = len(vectors)
    if count < 3:
        return float("nan")
    rng = np.random.default_rng(seed)
    one = rng.integers(0, count, draws)
    other = (one + rng.integers(1, count, draws)) % count
    cosines = np.concatenate(
        [
            np.einsum("ij,ij->i", vectors[one[at : at + BLOCK]], vectors[other[at : at + BLOCK]])
            for at in range(0, draws, BLOCK)
        ]
    )
    z = np.arctanh(np.clip(cosines.astype(np.float64), -0.999999, 0.999999))
    low, middle, high = np.quantile(z, (0.25, 0.5, 0.75))
    from scipy.special import ndtri

    beyond = -float(ndtri(min(2.0 / (count * (count - 1)), 0.5)))
    return float(np.tanh(middle + beyond * (high - low) / 1.3489795))
