"""Which parameters the scores of a search depend on, estimated from its table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FEWEST, MOST = 12, 1000  # configurations; of more a sample is taken
TREES, PARTS, SHUFFLES, SEED = 50, 5, 5, 42


@dataclass(frozen=True)
class Column:
    """A parameter's values over configurations, float64; `levels` > 0: indices of so many levels."""

    name: str
    values: Sequence[float]
    levels: int = 0


@dataclass(frozen=True)
class Importance:
    """Shares of the scores' variance: what the model explains of unseen ones, and what is due to each parameter.

    `shares` is by parameter, greatest first, at least 0; what is due to several together counts for each of them.
    """

    explained: float
    shares: dict[str, float]
    configurations: int


def importance(columns: Sequence[Column], scores: Sequence[float]) -> Importance | None:
    """Permutation importance (Breiman 2001) of a random forest, measured on configurations that it has not seen.

    A forest is fitted on four fifths and predicts the last one, in turns; then the values of one parameter are shuffled
    in what it predicts. The squared error grows by twice the variance that is due to that parameter (Gregorutti, Michel
    and Saint-Pierre 2017). None for fewer than 12 configurations, for equal scores, and where no parameter varies.
    """
    varied = [column for column in columns if len(set(column.values)) > 1]
    y = np.asarray(scores, np.float64)
    if len(y) < FEWEST or not varied or float(y.std()) == 0:
        return None
    rng = np.random.default_rng(SEED)
    chosen = rng.permutation(len(y))[:MOST]
    y = y[chosen]
    blocks = [_block(column)[chosen] for column in varied]
    ends = np.cumsum([0, *(block.shape[1] for block in blocks)])
    error, grown = _over_parts(np.hstack(blocks), y, ends, rng)
    variance = float(y.var())
    shares = {column.name: max(growth / (2 * variance), 0.0) for column, growth in zip(varied, grown, strict=True)}
    ordered = dict(sorted(shares.items(), key=lambda item: -item[1]))
    return Importance(1 - error / variance, ordered, len(y))


def _over_parts(
    x: NDArray[np.float64], y: NDArray[np.float64], ends: NDArray[np.int64], rng: np.random.Generator
) -> tuple[float, list[float]]:
    """Mean squared error on unseen configurations, and by how much it grows when each parameter is shuffled."""
    from sklearn.ensemble import RandomForestRegressor

    parts = np.array_split(np.arange(len(y)), PARTS)
    error, grown = 0.0, np.zeros(len(ends) - 1)
    for part in parts:
        seen = np.setdiff1d(np.arange(len(y)), part)
        forest = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=SEED).fit(x[seen], y[seen])
        plain = float(((forest.predict(x[part]) - y[part]) ** 2).sum())
        error += plain
        for index, (start, end) in enumerate(pairwise(ends)):
            shuffled = np.repeat(x[part][None], SHUFFLES, axis=0)
            for one in shuffled:
                one[:, start:end] = one[rng.permutation(len(part)), start:end]
            found = forest.predict(shuffled.reshape(-1, x.shape[1])).reshape(SHUFFLES, -1)
            grown[index] += float(((found - y[part]) ** 2).sum()) / SHUFFLES - plain
    return error / len(y), [float(value) for value in grown / len(y)]


def _block(column: Column) -> NDArray[np.float64]:
    """A column for numbers (missing ones in the middle), one for each level."""
    values = np.asarray(column.values, np.float64)
    if column.levels:
        members: NDArray[np.float64] = (values[:, None] == np.arange(column.levels)[None]).astype(np.float64)
        return members
    known = values[np.isfinite(values)]
    middle = float(np.median(known)) if len(known) else math.nan
    filled: NDArray[np.float64] = np.where(np.isfinite(values), values, middle)[:, None]
    return filled
