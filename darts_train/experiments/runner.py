"""A runner: takes a trial, cross-validates it, tells the score; and again.

Any number of runners share a study. A trial is taken, and its result told, in the study's door, one runner at a
time; what lies between is held by a lease. A runner that dies leaves its trial to whoever comes by after the lease has
ended, with the runs that had finished: their rows are in the trial, their files on disk.

A trial's states: RUNNING while it is worked on or waits for another runner; COMPLETE with a score (marked where it is
unstable, and then never chosen); FAIL where a run failed or the score is not finite;
PRUNED where a judge stopped it.
"""

import math
from contextlib import suppress
from dataclasses import dataclass
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
from darts_train.experiments.lease import LEASE_SECONDS, Keeper, Lease, Leases
from darts_train.experiments.process_identity import own_identity
from darts_train.experiments.pruning.done import what_is_done
from darts_train.experiments.pruning.judge import Judges
from darts_train.experiments.search_table import write_search_table
from darts_train.experiments.storage import Database
from darts_train.experiments.study import PRUNED, RUN, UNSTABLE, Search, all_trials, open_study, suggest_all, trial_rows
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
    execute: Execute | None = None
    judges: Judges | None = None  # where hopeless trials are stopped

    def run(self, count: int | None, total: int | None = None, wait: bool = False) -> int:
        """Work on trials, one after the other; gives their number.

        Ends after `count` of them (None: never), or when the search has `total` trials (None: no limit but that of
        its space) and none of them is free. With `wait` it also waits for trials that others hold, until all have
        ended. Raises UserError when the database is out of reach for long, or nothing works any more.
        """
        done = hopeless = 0
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
        write_search_table(self.search, self.trials)
        return done

    def trials(self) -> list[FrozenTrial]:
        """All trials, as the database has them now."""
        return all_trials(self.database, self.study)

    def _take(self, total: int | None) -> Taken | None:
        """A trial whose runner is gone, or a new one; None where there is none to have."""
        limits = [limit for limit in (total, self.search.limit) if limit is not None]
        with self.leases.door():
            trials = self.trials()
            for trial in trials:
                if trial.state == TrialState.RUNNING and (lease := self.leases.claim(trial.number)):
                    _log.info("trial %d: taken over from a runner that is gone", trial.number)
                    return self._taken(trial, lease)
            if (limits and len(trials) >= min(limits)) or self._is_done(trials):
                return None
            new = self.database.call(self.study.ask)
            lease = self.leases.claim(new.number)
            return None if lease is None else self._taken(self.trials()[new.number], lease)

    def _is_done(self, trials: list[FrozenTrial]) -> bool:
        reason = what_is_done(trials, self.search.rule) if self.search.stop_when_done else None
        if reason:
            _log.info("%s is done: %s", self.search.name, reason)
        return reason is not None

    def _taken(self, trial: FrozenTrial, lease: Lease) -> Taken:
        live = self.database.call(lambda: Trial(self.study, trial._trial_id))
        rows = {(row.fold, row.seed): row for row in trial_rows(trial) if row.status == "finished"}
        return Taken(live, lease, suggest_all(self.database, live, self.search.space), rows)

    def _work(self, taken: Taken) -> CrossValidationResult | None:
        """Cross-validate a trial and tell its score; None where it was lost to another runner on the way."""
        number = taken.trial.number
        _log.info("trial %d: %s", number, ", ".join(f"{name} {value}" for name, value in taken.values.items()))

        def keep(row: RunRow) -> None:
            key = f"{RUN}f{row.fold}s{row.seed}"
            self.database.call(lambda: taken.trial.set_user_attr(key, row.to_json()))

        try:
            with Keeper(self.leases, taken.lease) as keeper:
                plan = self.search.plan(number, taken.values)
                judge = self.judges.of(taken.trial, plan) if self.judges else None
                result = cross_validate(
                    plan, self.device, self.tracking, execute=self.execute,
                    known=taken.rows, on_row=keep, go_on=lambda: not keeper.lost, judge=judge,
                )  # fmt: skip
            self._tell(taken, result)
        except (AbandonedError, BusyError, UpdateFinishedTrialError) as error:
            _log.warning("trial %d: another runner has it: %s", number, error)
            return None
        finally:
            with suppress(UserError):  # a lease that is not let go ends by itself
                self.leases.release(taken.lease)
        write_search_table(self.search, self.trials)
        return result

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
        return any(trial.state == TrialState.RUNNING for trial in self.trials())

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
) -> Runner:
    """Make or join the study of a search. Raises UserError where it was made with other settings."""
    leases = Leases(database, search.name, own_identity(), lease_seconds)
    study = open_study(database, search, leases)
    judges = Judges(database, study, search.rule, search.pruning) if search.pruning else None
    return Runner(search, database, study, leases, device, tracking, execute, judges)


def _state(result: CrossValidationResult) -> TrialState:
    if result.pruned:
        return TrialState.PRUNED
    return TrialState.COMPLETE if result.complete and math.isfinite(result.score) else TrialState.FAIL


def _is_hopeless(result: CrossValidationResult) -> bool:
    errors = result.infos["error"]
    return all(isinstance(error, str) and not error.startswith(OF_THE_CONFIGURATION) for error in errors)
