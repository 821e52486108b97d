"""Groups that are too large, held to a higher similarity until their parts are small enough."""

from dataclasses import dataclass

import numpy as np

from darts_train.dataset.grouping.alike import PairSearch
from darts_train.dataset.grouping.components import Components, first_numbered

STEP = 0.75  # of what is left to 1, at each try
STRICTEST = 0.9999
Pairs = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Tightened:
    """Groups after it.

    Attributes:
        labels: int64 [n].
        similarity: the highest that was needed; that of the call where nothing was.
        parted: pairs that reach the similarity of the call and are in different groups now.
    """

    labels: np.ndarray
    similarity: float
    parted: int


def tighten(labels: np.ndarray, vectors: np.ndarray, similarity: float, fixed: Pairs, most: int) -> Tightened:
    """Raise the similarity within groups of more than `most` units, until their parts have at most `most`.

    Args:
        labels: groups, int64 [n].
        vectors: unit vectors float32 [n, d]; zeros are alike to none.
        similarity: that the groups were made with.
        fixed: pairs that stay together whatever happens (ground, columns), int64 [m] twice.
        most: units of a group.

    Returns:
        New groups. A part that fixed pairs or equal vectors hold together stays larger.
    """
    labels, highest, parted = labels.copy(), similarity, 0
    large = [np.flatnonzero(labels == label) for label in np.flatnonzero(np.bincount(labels) > most)]
    for members in large:
        parts, used = _parts(members, vectors, similarity, fixed, most)
        parted += _parted(vectors[members], parts, similarity)
        labels[members] = labels.max() + 1 + parts
        highest = max(highest, used)
    return Tightened(first_numbered(labels), highest, parted)


def _parts(members: np.ndarray, vectors: np.ndarray, start: float, fixed: Pairs, most: int) -> tuple[np.ndarray, float]:
    """Parts of one group, numbered from 0, and the similarity that was needed."""
    found, used = np.zeros(len(members), np.int64), start
    waiting = [(np.arange(len(members)), start)]
    while waiting:
        some, before = waiting.pop()
        similarity = 1 - (1 - before) * STEP
        if similarity > STRICTEST:
            continue
        used = max(used, similarity)
        parts = connected(members[some], vectors, similarity, fixed)
        found[some] = found.max() + 1 + parts
        waiting += [(some[parts == part], similarity) for part in np.flatnonzero(np.bincount(parts) > most)]
    return first_numbered(found), used


def connected(members: np.ndarray, vectors: np.ndarray, similarity: float, fixed: Pairs) -> np.ndarray:
    """Components of some units by similarity and by fixed pairs among them; int64 [len(members)]."""
    components = Components(len(members))
    place = np.full(len(vectors), -1, np.int64)
    place[members] = np.arange(len(members))
    one, other = (place[part] for part in fixed)
    inside = (one >= 0) & (other >= 0)
    components.add(one[inside], other[inside])
    for pair in PairSearch(vectors[members], similarity):
        components.add(*pair)
    return components.labels()


def _parted(vectors: np.ndarray, parts: np.ndarray, similarity: float) -> int:
    return sum(int((parts[one] != parts[other]).sum()) for one, other in PairSearch(vectors, similarity))
