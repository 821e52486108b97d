"""How a search proposes its points, by name.

random and grid (`space/points.py`): nothing is learned, nothing repeated by accident. qmc: the same, of Sobol numbers.
tpe, gp and cmaes: Optuna's, which learn from finished trials; seeded by the trial's number, for several runners with
one seed would try the same points. gp and cmaes are for numbers: what they cannot propose is drawn at random.

A sampler that learns sees the best and the newest trials of a long search only: what it learns from thousands more is
nothing, and what it takes to read them is seconds a trial.
"""

import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Literal

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.experiments.searching.recent_trials import RecentTrials
from darts_train.experiments.space.parameters import Choice, Constant
from darts_train.experiments.space.points import SEED, Point, drawn, is_walked, point, spread
from darts_train.experiments.space.search_space import SearchSpace
from darts_train.experiments.space.stored_values import distribution, from_stored, label, to_stored, values_of

__all__ = [
    "SamplerName", "check_sampler", "distribution", "from_stored", "label", "limit_of", "make_sampler", "point",
    "to_stored", "values_of",
]  # fmt: skip

SamplerName = Literal["random", "grid", "tpe", "gp", "qmc", "cmaes"]
SEVERAL_OBJECTIVES = ("random", "grid", "qmc", "tpe")
TRIALS_SEEN = {"tpe": 1000, "gp": 200, "cmaes": None}  # cmaes keeps its state in the trials
NoMemory = Callable[[int], Mapping[str, Any]]  # the values of a trial by its number
_log = logger("experiments")


class PointSampler(BaseSampler):
    """Optuna's face of points that depend on nothing but the trial's number."""

    def __init__(self, space: SearchSpace, values: NoMemory) -> None:
        self._space, self._values = space, values

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing depends on anything."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Nothing depends on anything."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The stored form of this parameter's value at the trial's number."""
        return to_stored(self._space.parameters[param_name], self._values(trial.number)[param_name])


class SeededSampler(BaseSampler):
    """One of Optuna's samplers that learn, made anew for each trial, its random numbers those of the trial's number.

    `first`: the values of trial 0, if they are given.
    """

    def __init__(
        self, space: SearchSpace, make: Callable[[int], BaseSampler], seen: int | None, first: Point | None
    ) -> None:
        self._space, self._make, self._seen, self._first = space, make, seen, first
        self._trials = RecentTrials(seen)
        self._made: tuple[int, BaseSampler] | None = None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the sampler has it; nothing for a trial whose values are given."""
        if self._is_given(trial):
            return {}
        return self._of(trial).infer_relative_search_space(self._trials.of(study, trial.number), trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler does."""
        if self._is_given(trial):
            return {}
        return self._of(trial).sample_relative(self._trials.of(study, trial.number), trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As the sampler does, with a stream of numbers for each parameter."""
        if self._first is not None and trial.number == 0:
            return to_stored(self._space.parameters[param_name], self._first[param_name])
        sampler = self._make(_seed(trial.number, sum(param_name.encode())))
        return sampler.sample_independent(self._trials.of(study, trial.number), trial, param_name, param_distribution)

    def _is_given(self, trial: FrozenTrial) -> bool:
        return self._first is not None and trial.number == 0

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        """The trial's sampler; the same one for its search space and for its values."""
        if self._made is None or self._made[0] != trial.number:
            self._made = (trial.number, self._make(_seed(trial.number)))
        return self._made[1]


def _seed(number: int, stream: int = 0) -> int:
    return (SEED + 1000 * number + stream) % 2**31


def make_sampler(name: SamplerName, space: SearchSpace, first: Point | None = None) -> BaseSampler:
    """The sampler of a study; `first`: the values of trial 0, if they are given.

    Raises UserError for a grid over a space that has none; what else is wrong, `check_sampler` finds.
    """
    if name == "grid":
        space.require_grid()
    if name in ("random", "grid"):
        walk = name == "grid" or is_walked(space)
        return PointSampler(space, lambda number: point(space, number, first, walk))
    if name == "qmc":
        return PointSampler(space, lambda number: spread(space, number, first))
    chance = PointSampler(space, lambda number: drawn(space, number, first))
    make = {"tpe": _tpe(bool(space.when)), "gp": _gp(chance), "cmaes": _cmaes(chance)}[name]
    return SeededSampler(space, make, TRIALS_SEEN[name], first)


def check_sampler(name: SamplerName, space: SearchSpace, objectives: int = 1) -> None:
    """Raise UserError where a sampler cannot search a space; warn of what it leaves to chance."""
    if name == "grid":
        space.require_grid()
    if objectives > 1 and name not in SEVERAL_OBJECTIVES:
        raise UserError(f"--sampler {name} knows one score; with --multi-objective take tpe, random or qmc.")
    if name == "cmaes" and find_spec("cmaes") is None:
        raise UserError("--sampler cmaes needs the package cmaes: pip install 'darts-train[cmaes]'.")
    if name in ("gp", "cmaes"):
        _check_numbers(name, space)
    if name in ("tpe", "grid") and space.weighted:
        _log.warning("probabilities in the space: %s has no use for them; random draws by them", name)


def _check_numbers(name: str, space: SearchSpace) -> None:
    """Gp and cmaes want numbers that are always there."""
    varied = {key for key, parameter in space.parameters.items() if not isinstance(parameter, Constant)}
    lists = {key for key in varied if isinstance(space.parameters[key], Choice)}
    apart = {key for key in varied if key in space.when} | (lists if name == "cmaes" else set())
    least = 2 if name == "cmaes" else 1
    if len(varied - apart) < least:
        found = len(varied - apart)
        raise UserError(f"--sampler {name} needs {least} or more ranges that are always there, not {found}; take tpe.")
    if apart:
        _log.warning("--sampler %s: %s: drawn at random; tpe learns of them, too", name, ", ".join(sorted(apart)))


def _tpe(conditional: bool) -> Callable[[int], BaseSampler]:
    """TPE, multivariate and aware of running trials; in groups that are there together where some are not always."""

    def make(seed: int) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # multivariate was experimental before Optuna 5
            return TPESampler(seed=seed, multivariate=True, group=conditional, constant_liar=True)

    return make


def _gp(chance: BaseSampler) -> Callable[[int], BaseSampler]:
    def make(seed: int) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return GPSampler(seed=seed, independent_sampler=chance, warn_independent_sampling=False)

    return make


def _cmaes(chance: BaseSampler) -> Callable[[int], BaseSampler]:
    def make(seed: int) -> BaseSampler:
        return CmaEsSampler(seed=seed, independent_sampler=chance, warn_independent_sampling=False)

    return make


def limit_of(name: SamplerName, space: SearchSpace) -> int | None:
    """After how many trials a search has tried everything; None where it never has, as tpe, which may repeat."""
    walked = name == "grid" or (name == "random" and is_walked(space))
    return space.size if walked else None
