"""A runner: takes a trial, cross-validates it, tells the score; and again.

Any number of runners share a study. A trial is taken, and its result told, in the study's door, one runner at a
time; what lies between is held by a lease. A runner that dies leaves its trial to whoever comes by after the lease has
ended, with the runs that had finished: their rows are in the database, their files on disk.

A trial's states: RUNNING while it is worked on or waits for another runner; COMPLETE with a score (marked where it is
unstable, and then never chosen); FAIL where a run failed or the score is not finite;
PRUNED where a judge stopped it.
"""

import math
from contextlib import suppress
from dataclasses import dataclass, field
from time import sleep
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from darts_train.artifacts.run_infos import RunRow
from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.experiments.alone import BusyError
from darts_train.experiments.cross_validation import (
    AbandonedError,
    CrossValidationResult,
    Execute,
    cross_validate,
)
from darts_train.experiments.estimate import HoursTold
from darts_train.experiments.keeping import CheckpointKeeper
from darts_train.experiments.lease import LEASE_SECONDS, Keeper, Lease, Leases
from darts_train.experiments.process_identity import own_identity
from darts_train.experiments.run_store import RunStore
from darts_train.experiments.search_table import SearchTable
from darts_train.experiments.storage import Database
from darts_train.experiments.study import (
    PRUNED,
    UNSTABLE,
    Search,
    all_trials,
    join_trial,
    new_trial,
    open_study,
    suggest_all,
    trial_rows,
)
from darts_train.experiments.study_sql import count_trials, trials_in
from darts_train.options.keeping import Keeping
from darts_train.options.learning import Device, Tracking

HOPELESS = 3  # trials in a row in which every run failed, and not for its configuration: a disk is full, a device gone
OF_THE_CONFIGURATION = ("UserError", "TrainingError")  # networks that do not exist, that diverge, that need more memory
_log = logger("experiments")


@dataclass(frozen=True)
class Taken:
    """A trial that is ours."""

    trial: Trial
    lease: Lease
    values: dict[str, Any]  # what it tries
    rows: dict[tuple[int, int], RunRow]  # of finished runs, by fold and seed


@dataclass(frozen=True)
class Runner:
    """One runner of a search. Make it with `open_runner`."""

    search: Search
    database: Database
    study: optuna.Study
    leases: Leases
    device: Device
    tracking: Tracking
    table: SearchTable
    execute: Execute | None = None
    keeper: CheckpointKeeper | None = None
    hours: HoursTold = field(default_factory=HoursTold)

    def run(self, count: int | None, total: int | None = None, wait: bool = False) -> int:
        """Work on trials, one after the other; gives their number.

        Ends after `count` of them (None: never), or when the search has `total` trials (None: no limit but that of
        its space) and none of them is free. With `wait` it also waits for trials that others hold, until all have
        ended. Raises UserError when the database is out of reach for long, or nothing works any more.
        """
        done = hopeless = 0
        self.hours.expect((count, total, self.search.limit), len(self.search.seeds) * self.search.folds)
        while count is None or done < count:
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
        # Of a trial that ended with its runner, killed before it wrote the table, no other one would write it.
        self.table.write(self.trials)
        return done

    def trials(self) -> list[FrozenTrial]:
        """All trials, as the database has them now."""
        return all_trials(self.database, self.study)

    def rows(self, trial: Trial | FrozenTrial) -> list[RunRow]:
        """The rows of a trial's runs, in no order of meaning."""
        return trial_rows(trial, self.store.rows(trial.number))

    @property
    def store(self) -> RunStore:
        """Where rows of runs are kept."""
        return RunStore(self.database, self.search.name)

    def _take(self, total: int | None) -> Taken | None:
        """A trial whose runner is gone, or a new one; None where there is none to have."""
        limits = [limit for limit in (total, self.search.limit) if limit is not None]
        with self.leases.door():
            for number, trial_id in trials_in(self.database, self.search.name, "RUNNING"):
                if lease := self.leases.claim(number):
                    _log.info("trial %d: taken over from a runner that is gone", number)
                    count = len(self.search.space.parameters)
                    return self._taken(join_trial(self.database, self.study, trial_id, count), lease)
            if limits and count_trials(self.database, self.search.name) >= min(limits):
                return None
            new = new_trial(self.database, self.study, self.search.sampler)
            lease = self.leases.claim(new.number)
            return None if lease is None else self._taken(new, lease)

    def _taken(self, trial: Trial, lease: Lease) -> Taken:
        rows = {(row.fold, row.seed): row for row in self.rows(trial) if row.status == "finished"}
        return Taken(trial, lease, suggest_all(self.database, trial, self.search.space), rows)

    def _work(self, taken: Taken) -> CrossValidationResult | None:
        """Cross-validate a trial and tell its score; None where it was lost to another runner on the way."""
        number = taken.trial.number
        _log.info("trial %d: %s", number, ", ".join(f"{name} {value}" for name, value in taken.values.items()))

        def keep(row: RunRow) -> None:
            if not self.store.keep(taken.lease, row):
                raise AbandonedError("it was taken over")
            self.hours.look(row)

        try:
            with Keeper(self.leases, taken.lease) as keeper:
                result = cross_validate(
                    self.search.plan(number, taken.values), self.device, self.tracking, execute=self.execute,
                    known=taken.rows, on_row=keep, go_on=lambda: not keeper.lost,
                )  # fmt: skip
            self._tell(taken, result)
        except (AbandonedError, BusyError, UpdateFinishedTrialError) as error:
            _log.warning("trial %d: another runner has it: %s", number, error)
            return None
        finally:
            with suppress(UserError):  # a lease that is not let go ends by itself
                self.leases.release(taken.lease)
        self._tidy()
        self.table.write_if_due(self.trials)
        return result

    def _tidy(self) -> None:
        """Remove the checkpoints of trials that are not among those to be kept."""
        if self.keeper is not None and self.keeper.count is not None:
            with self.leases.door():
                self.table.forget_checkpoints(self.keeper.tidy())

    def _tell(self, taken: Taken, result: CrossValidationResult) -> None:
        """Write a trial's end. Raises AbandonedError where it is not ours any more."""
        number, state = taken.trial.number, _state(result)
        complete = state == TrialState.COMPLETE
        with self.leases.door():
            if not self.leases.renew(taken.lease):
                raise AbandonedError("it was taken over")
            self.database.call(lambda: taken.trial.set_user_attr(UNSTABLE, result.score_is_unstable))
            if result.pruned:
                self.database.call(lambda: taken.trial.set_user_attr(PRUNED, result.pruned))
            value = result.score if complete else None
            self.database.call(lambda: self.study.tell(number, value, state, skip_if_finished=True))
        said = f"score {result.score:.4f}{' (unstable)' if result.score_is_unstable else ''}" if complete else "failed"
        said = f"pruned: {result.pruned}" if result.pruned else said
        _log.info("trial %d: %s", number, said)

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
    keep: Keeping | None = None,
) -> Runner:
    """Make or join the study of a search. Raises UserError where it was made with other settings, unless forced."""
    keep = keep or Keeping()
    leases = Leases(database, search.name, own_identity(), lease_seconds)
    study, table = open_study(database, search, leases, keep.force), SearchTable(search, database)
    keeper = CheckpointKeeper(search, database, keep.kept_trials(), keep.keep_checkpoints)
    return Runner(search, database, study, leases, device, tracking, table, execute, keeper)


def _state(result: CrossValidationResult) -> TrialState:
    if result.pruned:
        return TrialState.PRUNED
    return TrialState.COMPLETE if result.complete and math.isfinite(result.score) else TrialState.FAIL


def _is_hopeless(result: CrossValidationResult) -> bool:
    errors = result.infos["error"]
    return all(isinstance(error, str) and not error.startswith(OF_THE_CONFIGURATION) for error in errors)
