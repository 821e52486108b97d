"""A search as Optuna's study: made or joined, its facts compared, its trials read.

The facts (settings, space, scoring, data) are stored with the study, so that a runner on another machine needs
nothing but the address, and a runner with other settings is refused.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)
from optuna.trial import FrozenTrial, Trial, TrialState

from darts_train.artifacts import names, tree
from darts_train.artifacts.run_infos import RunRow
from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.experiments.cross_validation import Plan
from darts_train.experiments.database.lease import Leases
from darts_train.experiments.database.storage import Database
from darts_train.experiments.database.study_sql import trials_in
from darts_train.experiments.pruning.rule import PruningRule
from darts_train.experiments.scoring import Direction, ScoringRule
from darts_train.experiments.searching.pareto import directions, non_dominated
from darts_train.experiments.searching.sampling import SamplerName, limit_of, make_sampler
from darts_train.experiments.searching.versions import deciding_versions, warn_of_versions
from darts_train.experiments.settings import SPACE, Settings, plain, require_same
from darts_train.experiments.space.field_values import field_value
from darts_train.experiments.space.search_space import SearchSpace
from darts_train.experiments.space.stored_values import distribution, from_stored, values_of

FACTS = "darts"  # attribute of a study
N_TRIALS = "darts n_trials"  # attribute of a study: how many a tune was asked for
FORMAT_VERSION = 1
RUN = "run:"  # before fold and seed: attributes of a trial of an older study, one row each
WITHOUT_HISTORY = ("random", "grid")  # samplers that look at no other trial
UNSTABLE = "unstable"  # attribute of a trial
SCORE = "score"  # attribute of a trial of several objectives: the combined score
PRUNED = "pruned"  # attribute of a trial: why it was stopped
_log = logger("experiments")


@dataclass(frozen=True)
class Search:
    """What a search is made of. `settings` holds for whatever `space` does not vary.

    `folder`: its directory below `artifact_dir`, where that is not called as the search is.
    """

    name: str
    artifact_dir: Path
    settings: Settings
    space: SearchSpace
    sampler: SamplerName
    folds: int
    seeds: tuple[int, ...]
    rule: ScoringRule
    data_hash: str
    multi_objective: bool = False  # each metric of the rule is an objective
    first: Mapping[str, Any] | None = None  # what trial 0 tries, if it is given
    run_cap: int | None = None  # trials at most
    folder: str | None = None
    pruning: PruningRule | None = None  # when trials are stopped before their end; None: never
    stop_when_done: bool = False  # no new trial where what it may gain is within the error of the best

    @property
    def directory(self) -> Path:
        """Where its cross-validations lie."""
        return tree.tune_dir(self.artifact_dir, self.folder or self.name)

    @property
    def limit(self) -> int | None:
        """After how many trials everything has been tried; None: never."""
        limits = [limit for limit in (limit_of(self.sampler, self.space), self.run_cap) if limit is not None]
        return min(limits, default=None)

    @property
    def directions(self) -> list[Direction]:
        """Which way the values go that are told of a trial."""
        return directions(self.rule) if self.multi_objective else [self.rule.direction]

    def plan(self, number: int, values: Mapping[str, Any]) -> Plan:
        """The cross-validation of trial `number`, which tries `values`."""
        name = names.cv_name(self.name, number)
        return Plan(
            name=name,
            directory=tree.cv_dir(self.artifact_dir, name, self.folder or self.name),
            settings=self.settings.replace(values),
            folds=self.folds,
            seeds=self.seeds,
            rule=self.rule,
            data_hash=self.data_hash,
            tune_name=self.name,
        )

    def facts(self) -> dict[str, Any]:
        """All that decides what its trials are and how they score, as plain values.

        Settings that the space varies in every trial are left out: no trial sees their defaults.
        """
        plan = self.plan(0, {}).facts()
        varied = self.space.parameters.keys() - self.space.when.keys()
        kept = {name: value for name, value in plan.items() if name not in varied}
        kept |= {"multi_objective": True} if self.multi_objective else {}
        kept |= {"first_trial": {name: plain(value) for name, value in self.first.items()}} if self.first else {}
        space = {f"{SPACE}{name}": parameter for name, parameter in self.space.to_json()}
        pruning = {"pruning": self.pruning.to_json()} if self.pruning else {}  # older searches knew of none
        facts: dict[str, Any] = json.loads(json.dumps(kept | space | {"sampler": self.sampler} | pruning))
        return facts


@dataclass(frozen=True)
class StoredSearch:
    """What a study says of itself."""

    space: SearchSpace
    sampler: SamplerName
    metrics: tuple[str, ...]
    facts: Mapping[str, Any]
    run_cap: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)  # none of a study that was made before they were kept


def study_names(database: Database) -> list[str]:
    """Names of all studies in a database."""
    return database.call(lambda: optuna.get_all_study_names(database.storage))


def stored_search(database: Database, name: str) -> StoredSearch | None:
    """What is stored of a search; None where there is no study of that name, or one that was only just begun.

    Raises UserError where the study is not ours, or of a version we do not know.
    """
    if name not in study_names(database):
        return None
    study = database.call(lambda: optuna.load_study(study_name=name, storage=database.storage))
    content = database.call(lambda: study.user_attrs).get(FACTS)
    if content is None:
        if database.call(lambda: study.get_trials(deepcopy=False)):
            raise UserError(f"the study {name!r} was not made by darts; choose another name.")
        return None
    try:
        if content["format_version"] != FORMAT_VERSION:
            raise UserError(f"the study {name!r} was made by another version of darts.")
        facts = content["facts"]
        return StoredSearch(
            SearchSpace.from_json(content["space"]), facts["sampler"], tuple(facts["scoring_metric"]), facts,
            content.get("run_cap"), content.get("versions", {}),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the study {name!r} cannot be read: {error!r}.") from None


def open_study(database: Database, search: Search, leases: Leases, force: bool = False) -> optuna.Study:
    """Make the study of a search, or join it.

    Raises UserError, saying what differs, where it has other facts. With `force` it gets these, and trials of the
    others that wait for a runner end as failed: their runs cannot go on. Other versions of packages are a warning.
    """
    sampler = make_sampler(search.sampler, search.space, search.first)
    with leases.door():
        stored = stored_search(database, search.name)
        differ = stored is not None and _differs(stored, search, force)
        study = database.call(
            lambda: optuna.create_study(
                study_name=search.name,
                storage=database.storage,
                sampler=sampler,
                pruner=optuna.pruners.NopPruner(),
                directions=search.directions,
                load_if_exists=True,
            )
        )
        if stored is None or differ:
            if differ:
                _end_waiting(database, search, leases)
            content = {"format_version": FORMAT_VERSION, "facts": search.facts(), "space": search.space.to_json()}
            content |= {"run_cap": search.run_cap} if search.run_cap else {}
            content["versions"] = deciding_versions()
            database.call(lambda: study.set_user_attr(FACTS, json.loads(json.dumps(content))))
    if stored is not None:
        warn_of_versions(search.name, stored.versions)
    return study


def _differs(stored: StoredSearch, search: Search, force: bool) -> bool:
    """Whether a study has other facts than the search. Raises UserError for that, unless it is forced."""
    try:
        require_same(stored.facts, search.facts(), f"the search {search.name}")
    except UserError as error:
        if not force:
            raise UserError(f"{error} Or go on with it all the same: --force.") from None
        require_compatible(stored.space, search)
        _log.warning("--force: %s", str(error).removesuffix("; choose another name."))
        return True
    return False


def require_compatible(space: SearchSpace, search: Search) -> None:
    """Raise UserError where one study cannot hold both spaces: Optuna keeps the choices of a parameter for good."""
    for name, parameter in search.space.parameters.items():
        before, now = (distribution(one) if one else None for one in (space.parameters.get(name), parameter))
        if before is None or now is None:
            continue
        try:
            check_distribution_compatibility(before, now)
        except ValueError:
            raise UserError(
                f"--force: the choices of {name} cannot change in one search; choose another name."
            ) from None


def _end_waiting(database: Database, search: Search, leases: Leases) -> None:
    for number, trial_id in trials_in(database, search.name, "RUNNING"):
        lease = leases.claim(number)
        if lease is None:
            raise UserError(f"--force: trial {number} of {search.name} is in work; end its runner before that.")
        database.call(lambda trial_id=trial_id: database.storage.set_trial_state_values(trial_id, TrialState.FAIL))  # type: ignore[misc]
        leases.release(lease)
        _log.warning("--force: trial %d, begun with the settings before, ends as failed", number)


def remember_total(database: Database, study: optuna.Study, total: int | None) -> None:
    """Store how many trials a search is to have, for whoever looks at it from outside."""
    if total is not None:
        database.call(lambda: study.set_user_attr(N_TRIALS, total))


def new_trial(database: Database, study: optuna.Study, sampler: SamplerName) -> Trial:
    """Make the next trial, or take one that somebody has enqueued.

    `ask` reads all trials, to see whether one is enqueued; where the sampler has no need of them, SQL says that.
    """
    if sampler in WITHOUT_HISTORY and not trials_in(database, study.study_name, "WAITING"):
        storage = study._storage  # Optuna's own cache over `database.storage`, which has to know of the trial
        return database.call(lambda: Trial(study, storage.create_new_trial(study._study_id)))
    return database.call(study.ask)


def join_trial(database: Database, study: optuna.Study, trial_id: int, parameters: int) -> Trial:
    """A trial that somebody else began, by Optuna's id; it has up to `parameters` of them."""
    if len(database.call(lambda: database.storage.get_trial(trial_id)).params) < parameters:
        all_trials(database, study)  # Optuna stores parameters only of trials that it has seen in this process
    return database.call(lambda: Trial(study, trial_id))


def all_trials(database: Database, study: optuna.Study) -> list[FrozenTrial]:
    """All trials by number, as the database has them now."""
    return database.call(lambda: study.get_trials(deepcopy=False))


def suggest_all(database: Database, trial: Trial, space: SearchSpace) -> dict[str, Any]:
    """The values a trial tries; those that a killed runner had drawn stay, the rest are drawn now.

    A parameter is asked for after those that it depends on, and only where it is there.
    """
    stored: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name in space.order:
        if not space.lives(name, values):
            continue
        parameter = space.parameters[name]
        if (drawn := distribution(parameter)) is not None:
            stored[name] = database.call(lambda name=name, drawn=drawn: _suggest(trial, name, drawn))  # type: ignore[misc]
        values[name] = field_value(name, from_stored(parameter, stored.get(name)))
    return values_of(space, stored)


def _suggest(trial: Trial, name: str, drawn: BaseDistribution) -> Any:
    if isinstance(drawn, FloatDistribution):
        return trial.suggest_float(name, drawn.low, drawn.high, log=drawn.log)
    if isinstance(drawn, IntDistribution):
        return trial.suggest_int(name, drawn.low, drawn.high, log=drawn.log)
    return trial.suggest_categorical(name, drawn.choices)  # type: ignore[attr-defined]


def trial_rows(trial: FrozenTrial | Trial, stored: Iterable[RunRow] = ()) -> list[RunRow]:
    """Rows of a trial's runs, in no order of meaning: those `stored` of it (`RunStore`) go before its attributes.

    Studies that were made before there was a table of runs have the rows as attributes of the trial.
    """
    older = [RunRow.from_json(value) for key, value in trial.user_attrs.items() if key.startswith(RUN)]
    return list({(row.fold, row.seed): row for row in [*older, *stored]}.values())


def failed_trials(trials: list[FrozenTrial]) -> int:
    """How many trials ended without a score."""
    return sum(trial.state == TrialState.FAIL for trial in trials)


def pruned_trials(trials: list[FrozenTrial]) -> int:
    """How many trials were stopped before their end."""
    return sum(trial.state == TrialState.PRUNED for trial in trials)


@dataclass(frozen=True)
class Best:
    """The best configuration of a search, or one of them. `objectives`: its metrics, where each is an objective."""

    number: int
    cv_name: str
    score: float
    parameters: dict[str, Any]
    objectives: Mapping[str, float] | None = None

    def summary(self) -> str:
        """One line."""
        found = ", ".join(f"{name} {value:.4f}" for name, value in (self.objectives or {}).items())
        return f"{self.cv_name}: {found}, score {self.score:.4f}"


def front_lines(found: Sequence[Best]) -> list[str]:
    """Lines of a summary."""
    return [f"the Pareto front has {len(found)} of them:", *(f"  {one.summary()}" for one in found)] if found else []


def trial_score(trial: FrozenTrial) -> float | None:
    """The score of a trial that is complete and stable, of several objectives the combined one; None for others."""
    if trial.state != TrialState.COMPLETE or trial.user_attrs.get(UNSTABLE, True):
        return None
    score = trial.user_attrs.get(SCORE, trial.values[0] if trial.values and len(trial.values) == 1 else None)
    return score if score is not None and math.isfinite(score) else None


def best_trial(search: Search, trials: list[FrozenTrial]) -> Best | None:
    """The best trial that is complete and stable, the earliest of equals; None where there is none.

    Of several objectives it is the one on the Pareto front whose combined score is the best.
    """
    best: Best | None = None
    for one in front(search, trials) if search.multi_objective else _stable(search, trials):
        if best is None or search.rule.better(one.score, best.score):
            best = one
    return best


def front(search: Search, trials: list[FrozenTrial]) -> list[Best]:
    """The stable trials to which no other is preferable in every objective; none where there is one objective."""
    if not search.multi_objective:
        return []
    stable = _stable(search, trials)
    points = [list((one.objectives or {}).values()) for one in stable]
    return [one for one, kept in zip(stable, non_dominated(points, search.directions), strict=True) if kept]


def _stable(search: Search, trials: list[FrozenTrial]) -> list[Best]:
    found = []
    for trial in trials:
        score = trial_score(trial)
        if score is None:
            continue
        metrics = [metric.name for metric in search.rule.metrics]
        values = dict(zip(metrics, trial.values, strict=True)) if search.multi_objective else None
        name = names.cv_name(search.name, trial.number)
        found.append(Best(trial.number, name, score, values_of(search.space, trial.params), values))
    return found
