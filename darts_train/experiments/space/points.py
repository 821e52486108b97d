"""Points of a space as pure functions of the trial's number (and of 42).

Any process, asked again after a crash, gives the same point, and no two trials get the same one by accident of timing;
so nothing needs to be enqueued when a study is made. Each parameter has its own stream of numbers: one more parameter
in the file changes nothing for the others, and one that is not there for this point is drawn and dropped.
"""

import random
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

from darts_train.experiments.space.field_values import field_value
from darts_train.experiments.space.parameters import Constant, Parameter
from darts_train.experiments.space.search_space import LARGEST_GRID, SearchSpace

SEED = 42
Point = Mapping[str, Any]


def is_walked(space: SearchSpace) -> bool:
    """Whether a search without memory tries each combination once, rather than draw: a finite space without weights."""
    return space.size is not None and space.size <= LARGEST_GRID and not space.weighted


def point(space: SearchSpace, number: int, first: Point | None = None, walk: bool | None = None) -> dict[str, Any]:
    """The values that trial `number` tries, without regard to other trials.

    A finite space is walked (`walk`; None: where `is_walked`) in an order shuffled with seed 42, each combination once
    per round; every other one is drawn from at random. With `first`, trial 0 has these values and the others come after
    it; a walk does not come to them again.
    """
    if is_walked(space) if walk is None else walk:
        size = space.size or 1
        start = None if first is None else _index(space, first)
        return _combination(space, _order(size, start)[number % size])
    return drawn(space, number, first)


def drawn(space: SearchSpace, number: int, first: Point | None = None) -> dict[str, Any]:
    """The values of trial `number` drawn at random."""
    if first is not None:
        if number == 0:
            return dict(first)
        number -= 1
    values = {name: field_value(name, draw(name, parameter, number)) for name, parameter in space.parameters.items()}
    return space.living(values)


def spread(space: SearchSpace, number: int, first: Point | None = None) -> dict[str, Any]:
    """The values of trial `number` of a Sobol sequence, which fills the space evenly.

    Scrambled with seed 42 (A. B. Owen, Scrambling Sobol' and Niederreiter-Xing points, J. Complexity 14, 1998), one
    dimension for each parameter that is not constant.
    """
    if first is not None:
        if number == 0:
            return dict(first)
        number -= 1
    varied = [name for name, parameter in space.parameters.items() if not isinstance(parameter, Constant)]
    shares = dict(zip(varied, _sobol(len(varied), number), strict=True)) if varied else {}
    values = {name: field_value(name, one.at(shares.get(name, 0.0))) for name, one in space.parameters.items()}
    return space.living(values)


def draw(name: str, parameter: Parameter, number: int) -> Any:
    """Draw `number` of a parameter's own stream."""
    return parameter.at(random.Random(f"{SEED}:{number}:{name}").random())


def _sobol(dimensions: int, number: int) -> list[float]:
    from scipy.stats import qmc

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a single point is not a balanced set
        sobol = qmc.Sobol(dimensions, scramble=True, rng=SEED)
        sobol = sobol.fast_forward(number) if number else sobol  # by no step is an error
        values: list[float] = sobol.random(1)[0].tolist()
    return [min(value, 1 - 2**-53) for value in values]


@cache
def _order(size: int, start: int | None) -> tuple[int, ...]:
    order = list(range(size))
    random.Random(SEED).shuffle(order)
    return tuple(order) if start is None else (start, *(index for index in order if index != start))


def _combination(space: SearchSpace, index: int) -> dict[str, Any]:
    """Combination `index` of a finite space, the last parameter varying fastest."""
    if space.when:
        return dict(space.combinations[index])
    chosen = []
    for name, values in reversed(space.choices().items()):
        index, position = divmod(index, len(values))
        chosen.append((name, values[position]))
    return dict(chosen[::-1])


def _index(space: SearchSpace, values: Point) -> int:
    """The index of a combination that is in the space."""
    return next(index for index, one in enumerate(space.combinations) if one == dict(values))
