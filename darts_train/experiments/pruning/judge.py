"""The judge of a trial: keeps what its runs have reached in the study, and asks the rules about it.

All that a decision needs is in the database: several runners see each other's trials, and a runner that takes a
trial over from one that was killed goes on where that one was. Each run has one small attribute,
`curve:f{fold}s{seed}` = {"best": the monitored metric of its best checkpoint, "at": [[epochs, score], …],
"end": score}, written at the run's end, and of the first run at each validation, where these are watched. Scores are as
the user knows them; null is a run that is unstable.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from darts_train.artifacts.run_infos import RunRow
from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.experiments.cross_validation import Plan
from darts_train.experiments.database.storage import Database
from darts_train.experiments.pruning.decision import after_run, at_validation
from darts_train.experiments.pruning.record import Curve, Key, Record
from darts_train.experiments.pruning.rule import PruningRule
from darts_train.experiments.scoring import ScoringRule, score_runs
from darts_train.experiments.searching.study import PRUNED, UNSTABLE, all_trials
from darts_train.metrics.names import MONITOR

CURVE = "curve:"  # before fold and seed: attributes of a trial, one for each run
_log = logger("experiments")


class Judges:
    """Makes the judge of each trial that a runner works on; remembers trials that have ended, which change no more."""

    def __init__(self, database: Database, study: optuna.Study, scoring: ScoringRule, rule: PruningRule) -> None:
        """Raises UserError for a study of several objectives, where none is the best."""
        if len(database.call(lambda: study.directions)) > 1:
            raise UserError("--prune, --prune-epochs: trials are compared by one score, and this search has several.")
        self.database, self.study, self.scoring, self.rule = database, study, scoring, rule
        self._ended: dict[int, Record] = {}

    def of(self, trial: Trial, plan: Plan) -> "StudyJudge":
        """The judge of a trial, with what an earlier runner had noted of it."""
        stored = self.database.call(lambda: dict(trial.user_attrs))
        return StudyJudge(self, trial, plan, _runs_of(stored), stored.get(PRUNED))

    def others(self, number: int) -> list[Record]:
        """Records of all other trials, as the database has them now."""
        found = []
        for trial in all_trials(self.database, self.study):
            if trial.number == number:
                continue
            record = self._ended.get(trial.number) or record_of(trial, self.scoring)
            if trial.state.is_finished():
                self._ended[trial.number] = record
            found.append(record)
        return found


@dataclass
class WatchedRun:
    """What a run has reached: the monitored metric of its best checkpoint, and that checkpoint's score, by epochs."""

    best: float = -math.inf
    at: list[tuple[int, float | None]] = field(default_factory=list)
    end: float | None = None
    ended: bool = False

    def add(self, epochs: int, monitored: float, score: float | None) -> None:
        """Note a validation; one of epochs that were done before, by a runner that was killed, replaces those."""
        self.at = [row for row in self.at if row[0] < epochs]
        if not self.at or monitored > self.best:
            self.best = max(monitored, self.best) if math.isfinite(monitored) else self.best
        else:
            score = self.at[-1][1]
        self.at.append((epochs, score))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        best = self.best if math.isfinite(self.best) else None
        found: dict[str, Any] = {"best": best, "at": [list(row) for row in self.at]}
        return found | ({"end": self.end} if self.ended else {})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "WatchedRun":
        """What `to_json` gave."""
        best = values.get("best")
        at = [(int(epochs), score) for epochs, score in values["at"]]
        return cls(-math.inf if best is None else float(best), at, values.get("end"), "end" in values)


class StudyJudge:
    """The judge of one trial (see `judging.Judge`). A database that is out of reach stops no training."""

    def __init__(
        self, judges: Judges, trial: Trial, plan: Plan, runs: dict[Key, WatchedRun], reason: str | None
    ) -> None:
        self.judges, self.trial, self.plan, self.runs, self.reason = judges, trial, plan, runs, reason
        self.max_epochs = plan.settings.training.max_epochs
        self.rungs = judges.rule.rungs(self.max_epochs)
        self.watches_validations = judges.rule.epochs

    def after_run(self, rows: Sequence[RunRow]) -> str | None:
        """Why not to go on with the trial, or None."""
        for row in rows:
            run = self.runs.setdefault((row.fold, row.seed), WatchedRun())
            if row.status == "finished" and not run.ended:
                run.end, run.ended = _score(row.metrics, self.judges.scoring), True
                self._keep((row.fold, row.seed))
        lower, planned = _is_lower(self.judges.scoring), self.plan.runs()
        return self._decide(lambda own, others: after_run(own, others, planned, self.judges.rule, lower))

    def at_validation(self, fold: int, seed: int, epochs: int, metrics: Mapping[str, float]) -> str | None:
        """Why not to go on with the run, and the trial, or None."""
        key, planned, rule = (fold, seed), self.plan.runs(), self.judges.rule
        if key != planned[0] or self.reason is not None:
            return self.reason
        run = self.runs.setdefault(key, WatchedRun())
        run.add(epochs, metrics.get(MONITOR, -math.inf), _score(metrics, self.judges.scoring))
        self._keep(key)
        if not any(rung <= epochs for rung in self.rungs):
            return None
        lower, in_all = _is_lower(self.judges.scoring), self.max_epochs
        return self._decide(lambda own, others: at_validation(own, others, planned, in_all, rule, lower))

    def _decide(self, ask: Callable[[Record, list[Record]], str | None]) -> str | None:
        """Ask a rule, and note its answer, so that whoever takes the trial over has it too."""
        if self.reason is not None:
            return self.reason
        number, lower = self.trial.number, _is_lower(self.judges.scoring)
        own = _record(number, self.runs, lower)
        try:
            self.reason = ask(own, self.judges.others(number))
            if self.reason is not None:
                self.judges.database.call(lambda: self.trial.set_user_attr(PRUNED, self.reason))
                self._report(own, lower)
        except UserError as error:
            _log.warning("trial %d: nobody judges it now: %s", number, error)
        return self.reason

    def _report(self, own: Record, lower: bool) -> None:
        """Tell Optuna's samplers how far the trial came, and with which score: the later and the better, the better."""
        epochs = sum(run.at[-1][0] if run.at else self.max_epochs * run.ended for run in self.runs.values())
        value = progress(own)
        if math.isfinite(value):
            self.judges.database.call(lambda: self.trial.report(-value if lower else value, epochs))

    def _keep(self, key: Key) -> None:
        values = self.runs[key].to_json()
        try:
            self.judges.database.call(lambda: self.trial.set_user_attr(f"{CURVE}f{key[0]}s{key[1]}", values))
        except UserError as error:
            _log.warning("trial %d: its curve is not kept: %s", self.trial.number, error)


def record_of(trial: FrozenTrial, scoring: ScoringRule) -> Record:
    """What a trial of the study holds, for the rules."""
    complete = trial.state == TrialState.COMPLETE and not trial.user_attrs.get(UNSTABLE, True)
    return _record(trial.number, _runs_of(trial.user_attrs), _is_lower(scoring), complete)


def progress(record: Record) -> float:
    """Mean score of the runs of a trial, of those that did not end the last one; -inf where nothing is known."""
    scores = dict(record.runs)
    for key, curve in record.curves.items():
        if curve:
            scores.setdefault(key, curve[-1][1])
    return math.fsum(scores.values()) / len(scores) if scores else -math.inf


def _record(number: int, runs: Mapping[Key, WatchedRun], lower: bool, complete: bool = False) -> Record:
    ended = {key: _higher(run.end, lower) for key, run in runs.items() if run.ended}
    curves: dict[Key, Curve] = {
        key: tuple((epochs, _higher(score, lower)) for epochs, score in run.at) for key, run in runs.items()
    }
    return Record(number, ended, curves, complete)


def _runs_of(attributes: Mapping[str, Any]) -> dict[Key, WatchedRun]:
    """Runs by fold and seed, from a trial's attributes."""
    found = {}
    for name, values in attributes.items():
        if name.startswith(CURVE):
            fold, _, seed = name.removeprefix(f"{CURVE}f").partition("s")
            found[int(fold), int(seed)] = WatchedRun.from_json(values)
    return found


def _score(metrics: Mapping[str, float], scoring: ScoringRule) -> float | None:
    """What one run would score; None where it is unstable."""
    score = score_runs([metrics], scoring)
    return score.value if math.isfinite(score.value) and not score.unstable else None


def _is_lower(scoring: ScoringRule) -> bool:
    return scoring.direction == "minimize"


def _higher(score: float | None, lower: bool) -> float:
    if score is None:
        return -math.inf
    return -score if lower else score
