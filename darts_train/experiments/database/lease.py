"""Who works on a trial: a row with an owner, an epoch and a time until which the owner is taken at its word.

Optuna's heartbeat is for `optimize` and dies with one hiccup of the database; a trial may then run twice. A lease
has an epoch that grows with every change of hands, and whoever writes a result shows the epoch it was given: a runner
that slept through its lease finds out, and stops. Time is that of the database, so clocks of runners do not matter.

A lease ends when it is let go, when its time is over, or when its owner is a process of this very machine that is
no longer there: after a crash the same call goes on at once.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.experiments.database.process_identity import is_dead
from darts_train.experiments.database.storage import WORKING_PATIENCE, Database

LEASE_SECONDS = 60.0
RENEWALS = 4  # in the time of a lease, so that three may fail
DOOR = -1  # the number under which a study's door is leased
RELEASE_PATIENCE = 5.0  # a lease that is not let go ends by itself
_MINE = "study = :study and trial = :trial and owner = :owner and epoch = :epoch"
_NOW = {"postgresql": "extract(epoch from clock_timestamp())", "sqlite": "(julianday('now') - 2440587.5) * 86400.0"}
_log = logger("experiments")


def seconds_now(url: URL) -> str:
    """SQL for the time by the database's clock, in seconds since 1970."""
    return _NOW[url.get_backend_name()]


@dataclass(frozen=True)
class Lease:
    """A claim that was granted: on a trial of a study, to an owner, as the `epoch`-th."""

    study: str
    trial: int
    owner: str
    epoch: int


@dataclass(frozen=True)
class Leases:
    """The leases of one study, as one owner sees them. Every method may raise UserError (database out of reach)."""

    database: Database
    study: str
    owner: str
    seconds: float = LEASE_SECONDS

    def claim(self, trial: int) -> Lease | None:
        """Take a trial that nobody holds, or whose holder is gone; None where somebody holds it.

        A claim whose answer got lost is granted again to the same owner.
        """
        held = f"select owner from darts_lease where study = :study and trial = :trial and until >= {self._now}"
        holder = self._do(held, _scalar, trial=trial)
        gone = holder if holder is not None and is_dead(holder) else self.owner
        epoch = self._do(self._upsert(), _scalar, trial=trial, gone=gone, owner=self.owner)
        return None if epoch is None else Lease(self.study, trial, self.owner, int(epoch))

    def renew(self, lease: Lease, patience: float = WORKING_PATIENCE) -> bool:
        """Extend a lease; False where it has changed hands. One that ran out, but that nobody took, is still ours."""
        statement = f"update darts_lease set until = {self._now} + :seconds where {_MINE}"
        rows = self._do(statement, _rows, patience, trial=lease.trial, epoch=lease.epoch, owner=lease.owner)
        return bool(rows == 1)

    def release(self, lease: Lease) -> None:
        """Let go of a lease, if it is still ours; the row stays, so that epochs never repeat."""
        statement = f"update darts_lease set until = 0 where {_MINE}"
        self._do(statement, _rows, RELEASE_PATIENCE, trial=lease.trial, epoch=lease.epoch, owner=lease.owner)

    @contextmanager
    def door(self) -> Iterator[None]:
        """Enter the study alone: whoever takes a trial or tells a result does it here, one after the other.

        A process that dies inside keeps others out until its lease ends.
        """
        waiting = threading.Event()
        while (lease := self.claim(DOOR)) is None:
            waiting.wait(min(0.1, self.seconds / 20))
        try:
            yield
        finally:
            with suppress(UserError):
                self.release(lease)

    def _do(
        self,
        statement: str,
        answer: Callable[[sa.CursorResult[Any]], Any],
        patience: float = WORKING_PATIENCE,
        **values: Any,
    ) -> Any:
        bound = {"study": self.study, "seconds": self.seconds, **values}
        text = sa.text(statement)  # takes what it names, and passes over the rest

        def work() -> Any:
            with self.database.engine.begin() as connection:
                return answer(connection.execute(text, bound))

        return self.database.call(work, patience)

    @property
    def _now(self) -> str:
        return seconds_now(self.database.url)

    def _upsert(self) -> str:
        return (
            f"insert into darts_lease (study, trial, owner, epoch, until) "
            f"values (:study, :trial, :owner, 1, {self._now} + :seconds) "
            f"on conflict (study, trial) do update set owner = :owner, epoch = darts_lease.epoch + 1, "
            f"until = {self._now} + :seconds "
            f"where darts_lease.until < {self._now} or darts_lease.owner = :gone returning epoch"
        )


def _scalar(result: sa.CursorResult[Any]) -> Any:
    return result.scalar()


def _rows(result: sa.CursorResult[Any]) -> int:
    return result.rowcount


class Keeper:
    """Renews a lease in the background for as long as its block lasts; `lost` says that somebody else has it.

    A database that is out of reach does not make it lost: whether it is shows when the database is back.
    """

    def __init__(self, leases: Leases, lease: Lease) -> None:
        self.lost = False
        self._leases, self._lease = leases, lease
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease-{lease.trial}", daemon=True)

    def __enter__(self) -> "Keeper":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(timeout=5.0)

    def _keep(self) -> None:
        while not self._done.wait(self._leases.seconds / RENEWALS):
            try:
                if not self._leases.renew(self._lease, patience=0):
                    self.lost = True
                    return
            except Exception as error:  # whatever it was: a keeper that dies would give the trial away
                _log.warning("trial %d: its lease could not be renewed: %s", self._lease.trial, error)
