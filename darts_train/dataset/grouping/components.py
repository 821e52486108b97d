"""Connected components of pairs that come one block after the other, in memory that does not grow with them."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

WAITING = 2**20  # pairs that are kept before they are united


class Components:
    """Nodes 0 … n - 1 and what connects them; the result depends on the pairs, not on their order."""

    def __init__(self, count: int) -> None:
        self._labels = np.arange(count, dtype=np.int64)
        self._waiting: list[np.ndarray] = []

    def add(self, one: np.ndarray, other: np.ndarray) -> None:
        """Connect one[i] with other[i], int64 [m] each."""
        pairs = np.stack([self._labels[one], self._labels[other]])
        pairs = pairs[:, pairs[0] != pairs[1]]
        if pairs.shape[1]:
            self._waiting.append(np.unique(pairs, axis=1) if pairs.shape[1] > len(self._labels) else pairs)
        if sum(part.shape[1] for part in self._waiting) > WAITING:
            self._settle()

    def labels(self) -> np.ndarray:
        """Number of the component of each node, int64 [n]; components are numbered by their first node."""
        self._settle()
        return self._labels.copy()

    def _settle(self) -> None:
        if not self._waiting:
            return
        one, other = np.concatenate(self._waiting, axis=1)
        self._waiting, count = [], len(self._labels)
        graph = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(count, count))
        self._labels = first_numbered(connected_components(graph, directed=False)[1][self._labels])


def first_numbered(labels: np.ndarray) -> np.ndarray:
    """The same parts, numbered 0, 1, 2, … in the order in which they first occur; int64 [n]."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return np.asarray(rank[inverse])


def group_names(labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """`site-` and the alphabetically first name of its group, for each node; object [n].

    The name of a group depends on who is in it, and on nothing else.
    """
    least: dict[int, str] = {}
    for label, name in zip(labels.tolist(), names, strict=True):
        if label not in least or name < least[label]:
            least[label] = name
    return np.array([f"site-{least[label]}" for label in labels.tolist()], object)
