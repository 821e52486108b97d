"""A runner: takes a trial, cross-validates it, tells the score; and again.

Any number of runners share a study. A trial is taken, and its result told, in the study's door, one runner at a
time; what lies between is held by a lease. A runner that dies leaves its trial to whoever comes by after the lease has
ended, with the runs that had finished: their rows are in the database, their files on disk.

A trial's states: RUNNING while it is worked on or waits for another runner; COMPLETE with a score (marked where it is
unstable, and then never chosen); FAIL where a run failed or the score is not finite; PRUNED where a judge stopped it.

What follows from a run's failure depends on its kind (`failures.py`): what the machine did is tried again, a bug ends
the search, and of all others the trial has failed.
"""

import math
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from time import sleep
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from darts_train.artifacts.run_infos import FailureKind, RunRow
from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.experiments.alone import BusyError
from darts_train.experiments.cross_validation import (
    AbandonedError,
    CrossValidationResult,
    Execute,
    cross_validate,
)
from darts_train.experiments.database.lease import LEASE_SECONDS, Keeper, Lease, Leases
from darts_train.experiments.database.process_identity import own_identity
from darts_train.experiments.database.run_store import RunStore
from darts_train.experiments.database.storage import Database
from darts_train.experiments.database.study_sql import count_trials, trials_in
from darts_train.experiments.failures import BugError
from darts_train.experiments.fleet.progress import TrialEnd, Watch, unwatched
from darts_train.experiments.pruning.done import what_is_done
from darts_train.experiments.pruning.judge import Judges
from darts_train.experiments.searching.attempts import Attempts, attempts_of
from darts_train.experiments.searching.estimate import HoursTold
from darts_train.experiments.searching.keeping import CheckpointKeeper
from darts_train.experiments.searching.pareto import objectives
from darts_train.experiments.searching.recent_trials import INFEASIBLE
from darts_train.experiments.searching.study import (
    PRUNED,
    SCORE,
    UNSTABLE,
    Search,
    all_trials,
    join_trial,
    new_trial,
    open_study,
    suggest_all,
    trial_rows,
)
from darts_train.experiments.searching.table import SearchTable
from darts_train.options.keeping import Keeping
from darts_train.options.learning import Device, Tracking

HOPELESS = 3  # trials in a row in which the machine failed every run: a disk is full, a device gone
ENDING: tuple[FailureKind, ...] = ("memory", "numbers", "configuration", "bug")  # without these runs there is no score
MAX_RETRIES = 3
RETRY_SECONDS = 5.0  # before a run is tried again; longer each time
FAILURE = "failure"  # attribute of a trial: kind and words of the first failure, where there is one
_log = logger("experiments")


@dataclass(frozen=True)
class Taken:
    """A trial that is ours."""

    trial: Trial
    lease: Lease
    values: dict[str, Any]  # what it tries
    rows: dict[tuple[int, int], RunRow]  # of finished runs, by fold and seed
    attempts: Attempts


@dataclass(frozen=True)
class Runner:
    """One runner of a search. Make it with `open_runner`."""

    search: Search
    database: Database
    study: optuna.Study
    leases: Leases
    device: Device
    tracking: Tracking
    execute: Execute | None = None
    max_retries: int = MAX_RETRIES
    retry_seconds: float = RETRY_SECONDS
    watch: Watch = field(default=unwatched)
    keeping: Keeping = field(default_factory=Keeping)
    hours: HoursTold = field(default_factory=HoursTold)

    def run(
        self,
        count: int | None,
        total: int | None = None,
        wait: bool = False,
        may_go_on: Callable[[], bool] = lambda: True,
    ) -> int:
        """Work on trials, one after the other; gives their number.

        Ends after `count` of them (None: never), or when the search has `total` trials (None: no limit but that of
        its space) and none of them is free. With `wait` it also waits for trials that others hold, until all have
        ended. `may_go_on` is asked before each trial.

        Raises UserError when the database is out of reach for long, or nothing works any more; BugError where a run
        failed for a mistake in a program.
        """
        done = hopeless = 0
        self.hours.expect((count, total, self.search.limit), len(self.search.seeds) * self.search.folds)
        while (count is None or done < count) and may_go_on():
            taken = self._take(total)
            if taken is None:
                if not (wait and self._unfinished()):
                    break
                sleep(min(5.0, self.leases.seconds / 4))
                continue
            result = self._work(taken)
            if result is not None:
                done += 1
                hopeless = hopeless + 1 if _is_hopeless(result) else 0
                self._require_hope(hopeless, result)
                _require_no_bug(result)
        # Of a trial that ended with its runner, killed before it wrote the table, no other one would write it.
        self._table.write(self.trials)
        return done

    def trials(self) -> list[FrozenTrial]:
        """All trials, as the database has them now."""
        return all_trials(self.database, self.study)

    def rows(self, trial: Trial | FrozenTrial) -> list[RunRow]:
        """The rows of a trial's runs, in no order of meaning."""
        return trial_rows(trial, self.store.rows(trial.number))

    @cached_property
    def store(self) -> RunStore:
        """Where rows of runs are kept."""
        return RunStore(self.database, self.search.name)

    @cached_property
    def _table(self) -> SearchTable:
        return SearchTable(self.search, self.database)

    @cached_property
    def _keeper(self) -> CheckpointKeeper:
        return CheckpointKeeper(self.search, self.database, self.keeping.kept_trials(), self.keeping.keep_checkpoints)

    @cached_property
    def judges(self) -> Judges | None:
        """Where hopeless trials are stopped."""
        rule = self.search.pruning
        return Judges(self.database, self.study, self.search.rule, rule) if rule else None

    def _take(self, total: int | None) -> Taken | None:
        """A trial whose runner is gone, or a new one; None where there is none to have."""
        limits = [limit for limit in (total, self.search.limit) if limit is not None]
        with self.leases.door():
            for number, trial_id in trials_in(self.database, self.search.name, "RUNNING"):
                if (lease := self.leases.claim(number)) and (taken := self._taken_over(number, trial_id, lease)):
                    return taken
            if limits and count_trials(self.database, self.search.name) >= min(limits):
                return None
            if self._is_done():
                return None
            new = new_trial(self.database, self.study, self.search.sampler)
            lease = self.leases.claim(new.number)
            return None if lease is None else self._taken(new, lease)

    def _taken_over(self, number: int, trial_id: int, lease: Lease) -> Taken | None:
        """A trial whose runner is gone; None where it has ended. The caller is in the door.

        It may end here and now: a runner whose connection broke in its own door comes back and tells its result.
        """
        try:
            trial = join_trial(self.database, self.study, trial_id, len(self.search.space.parameters))
            if attempts_of(trial.user_attrs) > self.max_retries:
                self._give_up(trial, lease)
                return None
            taken = self._taken(trial, lease)
        except UpdateFinishedTrialError:
            self.leases.release(lease)
            return None
        _log.info("trial %d: taken over from a runner that is gone", number)
        return taken

    def _is_done(self) -> bool:
        if not self.search.stop_when_done:
            return False
        reason = what_is_done(self.trials(), self.search.rule, self.rows)
        if reason:
            _log.info("%s is done: %s", self.search.name, reason)
        return reason is not None

    def _taken(self, trial: Trial, lease: Lease) -> Taken:
        rows = {(row.fold, row.seed): row for row in self.rows(trial) if row.status == "finished"}
        attempts = Attempts(self.database, trial, attempts_of(trial.user_attrs))
        attempts.begin()
        return Taken(trial, lease, suggest_all(self.database, trial, self.search.space), rows, attempts)

    def _give_up(self, trial: Trial, lease: Lease) -> None:
        """End a trial whose runner died each time. The caller is in the door."""
        words = f"machine: its runner died {attempts_of(trial.user_attrs)} times"
        _log.warning("trial %d failed: %s", trial.number, words)
        self.database.call(lambda: trial.set_user_attr(FAILURE, words))
        self.database.call(lambda: self.study.tell(trial.number, None, TrialState.FAIL, skip_if_finished=True))
        self.leases.release(lease)
        self.watch(TrialEnd(trial.number, "failed", None))

    def _work(self, taken: Taken) -> CrossValidationResult | None:
        """Cross-validate a trial and tell its score; None where it was lost to another runner on the way."""
        number = taken.trial.number
        _log.info("trial %d: %s", number, ", ".join(f"{name} {value}" for name, value in taken.values.items()))
        try:
            with Keeper(self.leases, taken.lease) as keeper, getattr(self.execute, "listening", nullcontext)():
                result = self._validated(taken, keeper)
            self._tell(taken, result)
        except (KeyboardInterrupt, SystemExit):
            with suppress(UserError, UpdateFinishedTrialError):
                taken.attempts.left()
            raise
        except (AbandonedError, BusyError, UpdateFinishedTrialError) as error:
            if isinstance(error, BusyError):
                with suppress(UpdateFinishedTrialError):
                    taken.attempts.left()
            _log.warning("trial %d: another runner has it: %s", number, error)
            return None
        finally:
            with suppress(UserError):  # a lease that is not let go ends by itself
                self.leases.release(taken.lease)
        self._tidy()
        self._table.write_if_due(self.trials)
        return result

    def _tidy(self) -> None:
        """Remove the checkpoints of trials that are not among those to be kept."""
        if self._keeper.count is not None:
            with self.leases.door():
                self._table.forget_checkpoints(self._keeper.tidy())

    def _validated(self, taken: Taken, keeper: Keeper) -> CrossValidationResult:
        """Cross-validate; runs that the machine failed are done again, when the others are done."""

        def keep(row: RunRow) -> None:
            if not self.store.keep(taken.lease, row):
                raise AbandonedError("it was taken over")
            self.hours.look(row)
            if row.status == "finished":
                taken.rows[row.fold, row.seed] = row
                taken.attempts.got_on()

        plan = self.search.plan(taken.trial.number, taken.values)
        judge = self.judges.of(taken.trial, plan) if self.judges else None
        while True:
            result = cross_validate(
                plan, self.device, self.tracking, execute=self.execute, known=taken.rows, on_row=keep,
                go_on=lambda: not keeper.lost, judge=judge, ends_at=ENDING,
            )  # fmt: skip
            failed = set(result.infos["kind"].dropna())
            if failed != {"machine"} or result.pruned or taken.attempts.count > self.max_retries:
                return result
            _log.warning("trial %d: the machine failed it; it is tried again", taken.trial.number)
            sleep(self.retry_seconds * taken.attempts.count)
            taken.attempts.begin()

    def _tell(self, taken: Taken, result: CrossValidationResult) -> None:
        """Write a trial's end. Raises AbandonedError where it is not ours any more."""
        number, told = taken.trial.number, told_values(self.search, result)
        state = _state(result, told)
        complete = state == TrialState.COMPLETE
        with self.leases.door():
            if not self.leases.renew(taken.lease):
                raise AbandonedError("it was taken over")
            self.database.call(lambda: taken.trial.set_user_attr(UNSTABLE, result.score_is_unstable))
            if result.pruned:
                self.database.call(lambda: taken.trial.set_user_attr(PRUNED, result.pruned))
            for name, attribute in _failure(result).items():
                self.database.call(lambda name=name, value=attribute: taken.trial.set_user_attr(name, value))  # type: ignore[misc]
            if self.search.multi_objective:
                self.database.call(lambda: taken.trial.set_user_attr(SCORE, result.score))
            self.database.call(
                lambda: self.study.tell(number, told if complete else None, state, skip_if_finished=True)
            )
        said = f"score {result.score:.4f}{' (unstable)' if result.score_is_unstable else ''}" if complete else "failed"
        said = f"pruned: {result.pruned}" if result.pruned else said
        _log.info("trial %d: %s", number, said)
        score = result.score if complete and not result.score_is_unstable else None
        self.watch(TrialEnd(number, said.partition(":")[0] if score is None else "score", score))

    def _unfinished(self) -> bool:
        return bool(trials_in(self.database, self.search.name, "RUNNING"))

    def _require_hope(self, hopeless: int, result: CrossValidationResult) -> None:
        if hopeless >= HOPELESS:
            raise UserError(
                f"{self.search.name}: {hopeless} configurations in a row failed in every run, the last with: "
                f"{result.infos['error'].iloc[-1]!s:.200}; mend that and call again."
            )


def open_runner(
    search: Search,
    database: Database,
    device: Device,
    tracking: Tracking,
    execute: Execute | None = None,
    lease_seconds: float = LEASE_SECONDS,
    keeping: Keeping | None = None,
) -> Runner:
    """Make or join the study of a search. Raises UserError where it was made with other settings, unless forced."""
    keep = keeping or Keeping()
    if search.multi_objective and keep.kept_trials():
        raise UserError(
            f"--keep-checkpoints {keep.keep_checkpoints}: no trial is best in several objectives; give all or none."
        )
    leases = Leases(database, search.name, own_identity(), lease_seconds)
    study = open_study(database, search, leases, keep.force)
    return Runner(search, database, study, leases, device, tracking, execute, keeping=keep)


def told_values(search: Search, result: CrossValidationResult) -> list[float]:
    """What a study is told of a result: the score, or each metric of it."""
    return objectives(result.infos, search.rule) if search.multi_objective else [result.score]


def _state(result: CrossValidationResult, told: list[float]) -> TrialState:
    if result.pruned:
        return TrialState.PRUNED
    return TrialState.COMPLETE if result.complete and all(map(math.isfinite, told)) else TrialState.FAIL


def _is_hopeless(result: CrossValidationResult) -> bool:
    return bool((result.infos["kind"] == "machine").all())


def _failure(result: CrossValidationResult) -> dict[str, Any]:
    """Attributes of a trial that say what is wrong with it."""
    failed = result.infos[result.infos["status"] == "failed"]
    if failed.empty:
        return {}
    first = f"{failed['kind'].iloc[0]}: {failed['error'].iloc[0]!s:.300}"
    return {FAILURE: first} | ({INFEASIBLE: True} if (failed["kind"] == "memory").any() else {})


def _require_no_bug(result: CrossValidationResult) -> None:
    bugs = result.infos[result.infos["kind"] == "bug"]
    for row in bugs.itertuples():
        raise BugError(f"{row.run_name}: {row.error!s:.200}; the search stops, and goes on when it is called again")
