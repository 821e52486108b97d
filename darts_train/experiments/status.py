"""How far a search is: counted in its database, without a trial read.

A trial that Optuna calls RUNNING is in work while its lease is held, and waits for a runner where it is not.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from darts_train.base.errors import UserError, nearest
from darts_train.base.files import require_directory
from darts_train.experiments.database.lease import seconds_now
from darts_train.experiments.database.process_identity import is_dead
from darts_train.experiments.database.storage import (
    DATABASE_FILE,
    Connection,
    database_file,
    database_url,
    leases,
    look_into,
    runs,
    shown,
    sqlite_url,
)
from darts_train.experiments.database.study_sql import (
    ask,
    directions,
    of_study,
    state_name,
    study_attributes,
    study_list,
    trial_marks,
    trial_values,
    trials,
)
from darts_train.experiments.searching.estimate import hours
from darts_train.experiments.searching.sampling import limit_of
from darts_train.experiments.searching.study import FACTS, N_TRIALS, UNSTABLE
from darts_train.experiments.space.search_space import SearchSpace
from darts_train.options.learning import Artifacts
from darts_train.options.status import Status

ENDED = ("COMPLETE", "PRUNED", "FAIL")


@dataclass(frozen=True)
class SweepStatus:
    """How far a search is. Trials: `running` are in work, `waiting` were begun and have no runner at the moment.

    `total`: after how many trials it ends; None where nobody has said. Hours are those of one device at work:
    `hours_used` of all runs so far, `hours_left` for the rest, None where there is no total or nothing to go by.
    `best_score` and `best_trial`: of complete and stable trials; None for several objectives.
    """

    name: str
    database: str
    running: int
    waiting: int
    failed: int
    pruned: int
    complete: int
    total: int | None
    best_score: float | None
    best_trial: int | None
    hours_used: float
    hours_left: float | None

    @property
    def ended(self) -> int:
        """Trials that have come to an end."""
        return self.failed + self.pruned + self.complete

    def lines(self) -> list[str]:
        """A few plain lines."""
        of = f" of {self.total}" if self.total is not None else ""
        states = f"{self.complete} complete, {self.pruned} pruned, {self.failed} failed"
        lines = [f"{self.name}: {self.ended}{of} trials have ended ({states}), {self.running} running"]
        lines[0] += f", {self.waiting} waiting for a runner" if self.waiting else ""
        if self.best_score is not None:
            lines.append(f"  best: trial {self.best_trial}, score {self.best_score:.4f}")
        said = f"  {hours(self.hours_used)} used"
        if self.hours_left is not None:
            said += f", about {hours(self.hours_left)} left"
            if self.running > 1:
                said += f": {hours(self.hours_left / self.running)} with {self.running} runners"
        return [*lines, said]


@dataclass(frozen=True)
class StatusListing:
    """The searches that were asked for."""

    where: str
    searches: tuple[SweepStatus, ...]

    def summary(self) -> str:
        """A few plain lines for each."""
        if not self.searches:
            return f"no sweeps and no tunes in {self.where}"
        return "\n".join(line for search in self.searches for line in search.lines())

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"where": self.where, "searches": [asdict(search) for search in self.searches]}


def sweep_status(status: Status, artifacts: Artifacts) -> StatusListing:
    """How far one search is, or all in a database, or all below the artifact directory. Nothing is written.

    Raises UserError for a database that cannot be read and a search that is not there.
    """
    if status.sweep_db is not None:
        url = database_url(status.sweep_db)
        connections, where = [look_into(url)], shown(url)
    else:
        root = require_directory(artifacts.artifact_dir, "--artifact-dir")
        files = _files(root, status.sweep_id)
        connections, where = [look_into(sqlite_url(file.absolute())) for file in files], str(artifacts.artifact_dir)
    found = [(name, connection) for connection in connections for name in study_list(connection)]
    if status.sweep_id is not None:
        known = [name for name, _ in found]
        found = [one for one in found if one[0] == status.sweep_id]
        if not found:
            raise UserError(
                f"--sweep-id: there is no sweep {status.sweep_id!r} in {where}{nearest(status.sweep_id, known)}."
            )
    return StatusListing(where, tuple(status_of(connection, name) for name, connection in found))


def status_of(connection: Connection, name: str) -> SweepStatus:
    """How far the study `name` is, by a handful of statements."""
    counts = {state: int(count) for state, count in ask(connection, _counted(name))}
    held = _held(connection, name)
    running = sum(number in held for (number,) in ask(connection, _in_state(name, "RUNNING")))
    content = study_attributes(connection, name)
    total = _total(content)
    best = best_trials(connection, name, 1)
    ended = sum(counts.get(state, 0) for state in ENDED)
    used_by_ended, used = _hours(connection, name)
    left = None
    if total is not None and ended:
        left = max(0.0, used_by_ended / ended * (total - ended) - (used - used_by_ended)) if ended < total else 0.0
    return SweepStatus(
        name=name,
        database=shown(connection.url),
        running=running,
        waiting=counts.get("RUNNING", 0) - running + counts.get("WAITING", 0),
        failed=counts.get("FAIL", 0),
        pruned=counts.get("PRUNED", 0),
        complete=counts.get("COMPLETE", 0),
        total=total,
        best_score=best[0][0] if best else None,
        best_trial=best[0][1] if best else None,
        hours_used=used,
        hours_left=left,
    )


def _files(artifact_dir: Path, name: str | None) -> list[Path]:
    """Databases of the searches below the artifact directory; that of `name` alone, where it has one."""
    if name is not None and database_file(artifact_dir, name).is_file():
        return [database_file(artifact_dir, name)]
    return sorted(artifact_dir.glob(f"*/{DATABASE_FILE}"))


def _counted(name: str) -> sa.Select[Any]:
    return of_study(name, state_name, sa.func.count()).group_by(state_name)


def _in_state(name: str, state: str) -> sa.Select[Any]:
    return of_study(name, trials.c.number).where(state_name == state)


def _held(connection: Connection, name: str) -> set[int]:
    """Trials whose lease is held, by a process that is not known to be gone."""
    now: sa.ColumnElement[float] = sa.literal_column(seconds_now(connection.url))
    chosen = sa.select(leases.c.trial, leases.c.owner).where(leases.c.study == name, leases.c.until >= now)
    return {int(trial) for trial, owner in ask(connection, chosen) if not is_dead(owner)}


def _total(content: Mapping[str, str]) -> int | None:
    """After how many trials a study ends: what a tune was asked for, or the size of a grid."""
    limits = [int(json.loads(content[N_TRIALS]))] if N_TRIALS in content else []
    try:
        stored = json.loads(content[FACTS])
        limits.append(limit_of(stored["facts"]["sampler"], SearchSpace.from_json(stored["space"])) or 0)
    except (KeyError, TypeError, ValueError, UserError):  # another program's study, or a later version's
        pass
    return min((limit for limit in limits if limit), default=None)


def best_trials(connection: Connection, name: str, count: int) -> list[tuple[float, int]]:
    """Scores and numbers of the best trials that are complete and stable, best first, the earlier of equals first.

    None at all for a study of several objectives.
    """
    asked = ask(connection, directions(name))
    if len(asked) != 1:
        return []
    spoilt = sa.select(trial_marks.c.trial_id).where(
        trial_marks.c.trial_id == trials.c.trial_id, trial_marks.c.key == UNSTABLE, trial_marks.c.value_json == "true"
    )
    value = trial_values.c.value
    chosen = of_study(name, value, trials.c.number).where(
        trial_values.c.trial_id == trials.c.trial_id,
        sa.cast(trial_values.c.value_type, sa.Text) == "FINITE",
        state_name == "COMPLETE",
        ~spoilt.exists(),
    )
    order = value.desc() if asked[0][0] == "MAXIMIZE" else value.asc()
    found = ask(connection, chosen.order_by(order, trials.c.number).limit(count))
    return [(float(score), int(number)) for score, number in found]


def _hours(connection: Connection, name: str) -> tuple[float, float]:
    """Hours of training of trials that have ended, and of all; by the clock for trials without rows of runs."""
    selection = sa.select(runs.c.trial, sa.func.sum(runs.c.duration)).where(runs.c.study == name)
    trained = {int(trial): float(seconds) for trial, seconds in ask(connection, selection.group_by(runs.c.trial))}
    columns = (trials.c.number, trials.c.datetime_start, trials.c.datetime_complete)
    ended = 0.0
    for number, start, end in ask(connection, of_study(name, *columns).where(state_name.in_(ENDED))):
        ended += trained.pop(number) if number in trained else _seconds(start, end)
    return ended / 3600, (ended + sum(trained.values())) / 3600


def _seconds(start: Any, end: Any) -> float:
    """Seconds between two times as the database gives them: datetimes, or text of SQLite."""
    if start is None or end is None:
        return 0.0
    first, last = (datetime.fromisoformat(one) if isinstance(one, str) else one for one in (start, end))
    return float((last - first).total_seconds())
