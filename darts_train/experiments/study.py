"""A search as Optuna's study: made or joined, its facts compared, its trials read.

The facts (settings, space, scoring, data) are stored with the study, so that a runner on another machine needs
nothing but the address, and a runner with other settings is refused.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, Trial, TrialState

from darts_train.artifacts import names, tree
from darts_train.artifacts.run_infos import RunRow
from darts_train.base.errors import UserError
from darts_train.experiments.cross_validation import Plan
from darts_train.experiments.lease import Leases
from darts_train.experiments.pruning.rule import PruningRule
from darts_train.experiments.sampling import SamplerName, distribution, limit_of, make_sampler, values_of
from darts_train.experiments.scoring import ScoringRule
from darts_train.experiments.search_space import SearchSpace
from darts_train.experiments.settings import SPACE, Settings, require_same
from darts_train.experiments.storage import Database

FACTS = "darts"  # attribute of a study
FORMAT_VERSION = 1
RUN = "run:"  # before fold and seed: attributes of a trial, one row each
UNSTABLE = "unstable"  # attribute of a trial
PRUNED = "pruned"  # attribute of a trial: why it was stopped


@dataclass(frozen=True)
class Search:
    """What a search is made of. `settings` holds for whatever `space` does not vary."""

    name: str
    artifact_dir: Path
    settings: Settings
    space: SearchSpace
    sampler: SamplerName
    folds: int
    seeds: tuple[int, ...]
    rule: ScoringRule
    data_hash: str
    pruning: PruningRule | None = None  # when trials are stopped before their end; None: never
    stop_when_done: bool = False  # no new trial where what it may gain is within the error of the best

    @property
    def directory(self) -> Path:
        """Where its cross-validations lie."""
        return tree.tune_dir(self.artifact_dir, self.name)

    @property
    def limit(self) -> int | None:
        """After how many trials everything has been tried; None: never."""
        return limit_of(self.sampler, self.space)

    def plan(self, number: int, values: Mapping[str, Any]) -> Plan:
        """The cross-validation of trial `number`, which tries `values`."""
        name = names.cv_name(self.name, number)
        return Plan(
            name=name,
            directory=tree.cv_dir(self.artifact_dir, name, self.name),
            settings=self.settings.replace(values),
            folds=self.folds,
            seeds=self.seeds,
            rule=self.rule,
            data_hash=self.data_hash,
            tune_name=self.name,
        )

    def facts(self) -> dict[str, Any]:
        """All that decides what its trials are and how they score, as plain values.

        Settings that the space varies are left out: no trial sees their defaults.
        """
        plan = self.plan(0, {}).facts()
        kept = {name: value for name, value in plan.items() if name not in self.space.parameters}
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
            SearchSpace.from_json(content["space"]), facts["sampler"], tuple(facts["scoring_metric"]), facts
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"the study {name!r} cannot be read: {error!r}.") from None


def open_study(database: Database, search: Search, leases: Leases) -> optuna.Study:
    """Make the study of a search, or join it. Raises UserError, saying what differs, where it has other facts."""
    sampler = make_sampler(search.sampler, search.space)
    with leases.door():
        stored = stored_search(database, search.name)
        if stored is not None:
            require_same(stored.facts, search.facts(), f"the search {search.name}")
        study = database.call(
            lambda: optuna.create_study(
                study_name=search.name,
                storage=database.storage,
                sampler=sampler,
                pruner=optuna.pruners.NopPruner(),
                direction=search.rule.direction,
                load_if_exists=True,
            )
        )
        if stored is None:
            content = {"format_version": FORMAT_VERSION, "facts": search.facts(), "space": search.space.to_json()}
            database.call(lambda: study.set_user_attr(FACTS, json.loads(json.dumps(content))))
    return study


def all_trials(database: Database, study: optuna.Study) -> list[FrozenTrial]:
    """All trials by number, as the database has them now."""
    return database.call(lambda: study.get_trials(deepcopy=False))


def suggest_all(database: Database, trial: Trial, space: SearchSpace) -> dict[str, Any]:
    """The values a trial tries; those that a killed runner had drawn stay, the rest are drawn now."""
    stored = {
        name: database.call(lambda name=name, drawn=drawn: _suggest(trial, name, drawn))  # type: ignore[misc]
        for name, parameter in space.parameters.items()
        if (drawn := distribution(parameter)) is not None
    }
    return values_of(space, stored)


def _suggest(trial: Trial, name: str, drawn: BaseDistribution) -> Any:
    if isinstance(drawn, FloatDistribution):
        return trial.suggest_float(name, drawn.low, drawn.high, log=drawn.log)
    if isinstance(drawn, IntDistribution):
        return trial.suggest_int(name, drawn.low, drawn.high)
    return trial.suggest_categorical(name, drawn.choices)  # type: ignore[attr-defined]


def trial_rows(trial: FrozenTrial) -> list[RunRow]:
    """Rows of a trial's runs, in no order of meaning."""
    stored = [value for key, value in trial.user_attrs.items() if key.startswith(RUN)]
    return [RunRow.from_json(values) for values in stored]


def failed_trials(trials: list[FrozenTrial]) -> int:
    """How many trials ended without a score."""
    return sum(trial.state == TrialState.FAIL for trial in trials)


def pruned_trials(trials: list[FrozenTrial]) -> int:
    """How many trials were stopped before their end."""
    return sum(trial.state == TrialState.PRUNED for trial in trials)


@dataclass(frozen=True)
class Best:
    """The best configuration of a search."""

    number: int
    cv_name: str
    score: float
    parameters: dict[str, Any]


def best_trial(search: Search, trials: list[FrozenTrial]) -> Best | None:
    """The best trial that is complete and stable, the earliest of equals; None where there is none."""
    best: FrozenTrial | None = None
    for trial in trials:
        if trial.state != TrialState.COMPLETE or trial.user_attrs.get(UNSTABLE, True) or trial.value is None:
            continue
        if math.isfinite(trial.value) and (best is None or search.rule.better(trial.value, best.value or 0.0)):
            best = trial
    if best is None or best.value is None:
        return None
    values = values_of(search.space, best.params)
    return Best(best.number, names.cv_name(search.name, best.number), best.value, values)
