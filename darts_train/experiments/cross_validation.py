"""One configuration, scored: every seed on every fold, a table of the runs, one number.

Called again under the same name it goes on: each run finds its own directory, is returned as it is where it
finished, and is resumed where it did not. cv.json keeps the settings, so that two of them never meet in one score.
"""

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from darts_train.artifacts import names, tree
from darts_train.artifacts.baselines import Beside
from darts_train.artifacts.run_infos import FailureKind, RunRow, run_infos, write_run_infos
from darts_train.artifacts.run_record import numbers, read_record
from darts_train.base.errors import UserError
from darts_train.base.files import require_writable, write_json
from darts_train.base.log import logger
from darts_train.dataset.splitting.certificate import Certificate
from darts_train.experiments.alone import alone_in
from darts_train.experiments.beside_baseline import beside_cross_validation
from darts_train.experiments.failures import failure_kind
from darts_train.experiments.fleet.ahead import ahead
from darts_train.experiments.scoring import ScoringRule, parse_scoring, score_runs
from darts_train.experiments.searching.judging import Judge
from darts_train.experiments.settings import Settings, require_same
from darts_train.options.learning import Artifacts, Data, Device, Hyperparameters, Split, Tracking, Training
from darts_train.options.nested import Trust
from darts_train.options.searching import CrossValidation, Repeats, Scoring
from darts_train.training.stopping.pruned import PrunedError
from darts_train.training.tracking.check import check_tracking

if TYPE_CHECKING:
    from darts_train.experiments.fleet.messages import Outcome
    from darts_train.experiments.run import RunResult
    from darts_train.experiments.trust.oof import OofMaker, OofResult

CV_FILE = "cv.json"
# run.execute_run, in this process or another; what stands for it in tests.
Execute = Callable[..., "RunResult | Outcome"]
_log = logger("experiments")


@dataclass(frozen=True)
class Plan:
    """What a cross-validation is made of."""

    name: str
    directory: Path
    settings: Settings
    folds: int
    seeds: tuple[int, ...]
    rule: ScoringRule
    data_hash: str
    tune_name: str | None = None
    certificate: Certificate | None = None

    def runs(self) -> list[tuple[int, int]]:
        """Fold and seed of each run, in the order in which they are done."""
        return [(fold, seed) for seed in self.seeds for fold in range(self.folds)]

    def facts(self) -> dict[str, Any]:
        """All that decides the score, as plain values."""
        return self.settings.deciding() | {
            "n_folds": self.folds,
            "seeds": list(self.seeds),
            "scoring_metric": [str(metric) for metric in self.rule.metrics],
            "multi_score_strategy": self.rule.strategy,
            "data_hash": self.data_hash,
        }


@dataclass(frozen=True)
class CrossValidationResult:
    """A cross-validation. `score` is NaN where it is not complete: a run failed, or it was pruned (`pruned`: why).

    `beside`: pixel baselines, if any.
    """

    name: str
    directory: Path
    score: float
    score_is_unstable: bool
    complete: bool
    infos: pd.DataFrame
    beside: Beside | None = None
    pruned: str | None = None
    certificate: Certificate | None = None
    oof: "OofResult | None" = None

    def summary(self) -> str:
        """A few plain lines."""
        failed = self.infos[self.infos["status"] == "failed"]
        lines = [f"cross-validation {self.name}: {len(self.infos)} runs, {self.infos['duration'].sum():.0f} s"]
        if self.complete:
            unstable = f" (unstable: {int(self.infos['is_unstable'].sum())} runs)" if self.score_is_unstable else ""
            lines.append(f"score {self.score:.4f}{unstable}")
        elif self.pruned:
            lines.append(f"pruned: {self.pruned}")
        else:
            lines.append(
                f"incomplete: {len(failed)} runs failed, so there is no score; call it again to try those again"
            )
            lines += [f"  {row.run_name}: {row.error}" for row in failed.itertuples()]
        lines += [self.beside.summary()] if self.beside else []
        lines += [part.summary() for part in (self.certificate, self.oof) if part]
        return "\n".join([*lines, f"in {self.directory}"])


class AbandonedError(Exception):
    """The work was given up between two runs, because it is somebody else's by now."""


def cross_validation_smp(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    cross_validation: CrossValidation,
    repeats: Repeats,
    scoring: Scoring,
    artifacts: Artifacts,
    device: Device,
    tracking: Tracking,
    trust: Trust | None = None,
    *,
    execute: Execute | None = None,
) -> CrossValidationResult:
    """Train one configuration on every fold with every seed, and score it.

    A run that fails is a row with its error; the others still run, and the result is incomplete, with a score
    of NaN. leakage.json beside the runs says what the parts of each fold share.

    Raises UserError, before anything is trained, for settings that cannot work, for trackers that cannot, and for a
    name that was used with other settings.
    """
    from darts_train.experiments.checks import check_settings, open_train_data
    from darts_train.experiments.trust.certificates import certify_folds

    check_tracking(tracking)
    settings = Settings(data, split, hyperparameters, training)
    parent = require_writable(artifacts.artifact_dir, "--artifact-dir") / tree.CROSS_VALIDATIONS
    folds = fold_count(repeats, split)
    train_data = open_train_data(data)
    rule = parse_scoring(scoring.scoring_metric, scoring.multi_score_strategy, train_data.classes)
    check_settings(settings, folds, device)
    certificate = certify_folds(settings, folds)
    if trust and trust.require_leak_free:
        certificate.require(strict=True)
    taken = {path.name for path in parent.iterdir()} if parent.is_dir() else set()
    name = cross_validation.cv_name or names.random_name(taken)
    plan = Plan(
        name=names.check_name(name, "--cv-name"),
        directory=parent / name,
        settings=settings,
        folds=folds,
        seeds=tuple(names.cv_seeds(repeats.n_randoms)),
        rule=rule,
        data_hash=train_data.data_hash,
        certificate=certificate,
    )
    maker = _oof_maker(plan, device) if cross_validation.oof else None
    rows: list[RunRow] = []

    def keep(row: RunRow) -> None:
        rows.append(row)
        if maker:
            maker().add(row)

    result = cross_validate(plan, device, tracking, execute=execute, on_row=keep)
    oof = maker().finish(rows) if maker else None
    beside = beside_cross_validation(artifacts.artifact_dir, plan.name)
    return dataclasses.replace(result, beside=beside, oof=oof)


def _oof_maker(plan: Plan, device: Device) -> "Callable[[], OofMaker]":
    """What makes out-of-fold predictions, when it is first needed: the directory may be somebody else's before."""
    from darts_train.experiments.trust.oof import OofMaker, require_folds

    require_folds(plan.settings.split)
    return functools.cache(lambda: OofMaker.open(plan.directory, plan.settings, device))


def fold_count(repeats: Repeats, split: Split) -> int:
    """How many folds are run: `n_folds`, or all there are; 1 where data are not folded. Raises UserError beyond."""
    available = split.total_folds if split.fold_method is not None else 1
    if repeats.n_folds is not None and repeats.n_folds > available:
        why = f"--total-folds is {available}" if split.fold_method is not None else "--fold-method none makes one fold"
        raise UserError(f"--n-folds: {repeats.n_folds} folds were asked for, but {why}.")
    return available if repeats.n_folds is None else repeats.n_folds


def cross_validate(
    plan: Plan,
    device: Device,
    tracking: Tracking,
    *,
    execute: Execute | None = None,
    known: Mapping[tuple[int, int], RunRow] | None = None,
    on_row: Callable[[RunRow], None] = lambda row: None,
    go_on: Callable[[], bool] = lambda: True,
    judge: Judge | None = None,
    ends_at: Collection[FailureKind] = (),
) -> CrossValidationResult:
    """Do, or go on with, a planned cross-validation: for each seed, for each fold, one run.

    `known` are rows, by (fold, seed), of runs that finished elsewhere and are not done again. `on_row` is told
    each new row. `go_on` is asked before and after each run; AbandonedError is raised when it says no. `judge` is
    asked after each run, and after each validation, whether the rest is worth its time; runs that it ends are kept.
    After a failure of a kind in `ends_at` the rest is not done.
    """
    rows: list[RunRow] = []
    reason: str | None = None
    known = known or {}
    new = [run for run in plan.runs() if run not in known]
    do = functools.partial(run_one, plan, device=device, tracking=tracking, execute=execute, judge=judge)
    with _alone(plan), ahead(do, new, execute) as row_of:
        for fold, seed in plan.runs():
            row = known.get((fold, seed))
            if row is None:
                _log.info("%s: run %d of %d", plan.name, len(rows) + 1, len(plan.runs()))
                _require(go_on, plan)
                row = row_of(fold, seed)
                _require(go_on, plan)
                on_row(row)
            rows.append(row)
            reason = row.error if row.status == "pruned" else judge.after_run(rows) if judge else None
            result = _result(plan, rows, reason)
            write_run_infos(plan.directory, result.infos)
            if reason is not None or row.kind in ends_at:
                break
    return result


def run_one(
    plan: Plan,
    fold: int,
    seed: int,
    device: Device,
    tracking: Tracking,
    execute: Execute | None = None,
    judge: Judge | None = None,
) -> RunRow:
    """Do, resume or look up one run; whatever goes wrong in it becomes a row with status failed."""
    run_name = names.run_name(plan.name, fold, seed)
    found = tree.find_run(plan.directory, run_name)
    directory = found or tree.run_directory(plan.directory, run_name, names.new_run_id())
    run_id = directory.name[-names.ID_LENGTH :]
    place = tree.RunPlace(directory, run_name, run_id, plan.name, plan.tune_name)
    settings = plan.settings
    options = (settings.data, settings.split, settings.hyperparameters, settings.training, device, tracking)
    started = time.monotonic()
    asking = _Asking(judge, fold, seed)
    try:
        result = _executor(execute, asking)(place, *options, fold, seed)
    except PrunedError as stopped:
        record = read_record(directory)
        best, last = (record.best_metrics, record.last_metrics) if record else ({}, {})
        return RunRow(
            run_name, run_id, fold, seed, "pruned", time.monotonic() - started,
            error=str(stopped), metrics=numbers(best), last_metrics=numbers(last),
        )  # fmt: skip
    except Exception as error:
        if asking.error is not None:  # it is the judge who failed
            raise asking.error from None
        message, kind = " ".join(f"{type(error).__name__}: {error}".split()), failure_kind(error)
        _log.exception("%s failed (%s): %s", run_name, kind, message)
        return RunRow(run_name, run_id, fold, seed, "failed", time.monotonic() - started, error=message, kind=kind)
    return RunRow(
        run_name,
        run_id,
        fold,
        seed,
        "finished",
        result.duration,
        str(result.best_checkpoint.absolute()),
        metrics=dict(result.metrics),
        last_metrics=dict(result.last_metrics),
    )


class _Asking:
    """Shows a judge the validations of a run, and keeps the error where that fails: it is none of the run's."""

    def __init__(self, judge: Judge | None, fold: int, seed: int) -> None:
        self.judge, self.fold, self.seed = judge, fold, seed
        self.error: Exception | None = None

    def __call__(self, epochs: int, metrics: Mapping[str, float]) -> str | None:
        assert self.judge is not None
        try:
            return self.judge.at_validation(self.fold, self.seed, epochs, metrics)
        except Exception as error:
            self.error = error
            raise


def _executor(execute: Execute | None, asking: _Asking) -> Execute:
    if execute is None:
        from darts_train.experiments.run import execute_run

        execute = execute_run
    if asking.judge is None or not asking.judge.watches_validations:
        return execute
    return functools.partial(execute, on_validation=asking)


def _result(plan: Plan, rows: list[RunRow], pruned: str | None) -> CrossValidationResult:
    """The result as far as it goes: not complete, and without a score, until every run has finished."""
    missing = len(plan.runs()) - len(rows)
    runs = [row.metrics if row.status == "finished" else None for row in rows]
    score = score_runs([*runs, *[None] * missing], plan.rule)
    infos = run_infos(rows, score.run_is_unstable[: len(rows)], score.value, score.unstable)
    complete = not missing and all(run is not None for run in runs)
    return CrossValidationResult(
        plan.name, plan.directory, score.value, score.unstable, complete, infos, None, pruned, plan.certificate
    )


@contextmanager
def _alone(plan: Plan) -> Iterator[None]:
    """Hold the plan's directory, which says what the plan is."""
    with alone_in(plan.directory, f"cross-validation {plan.name}"):
        _keep_facts(plan)
        if plan.certificate:
            plan.certificate.write(plan.directory, plan.data_hash)
        yield


def _keep_facts(plan: Plan) -> None:
    """Write cv.json, or compare with the one that is there."""
    path = plan.directory / CV_FILE
    if not path.exists():
        return write_json(path, {"format_version": 1, "cv_name": plan.name, "settings": plan.facts()})
    try:
        stored = json.loads(path.read_bytes())["settings"]
        require_same(stored, json.loads(json.dumps(plan.facts())), f"cross-validation {plan.name}")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} cannot be read; delete the directory, or choose another name.") from None
    return None


def _require(go_on: Callable[[], bool], plan: Plan) -> None:
    if not go_on():
        raise AbandonedError(plan.name)
