"""Rows of finished and failed runs, in a table of our own beside Optuna's.

As attributes of the trials they were read with every trial, all of them, by every process that asked for the next
one: 150 000 JSON texts in a study of 10 000 trials. Here they are read for the trial that is taken up, and in portions
for the table of the search. Rows of older studies, which are attributes, are read as well (`study.trial_rows`).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from darts_train.artifacts.run_infos import RunRow
from darts_train.experiments.database.lease import Lease
from darts_train.experiments.database.storage import Database, runs

PORTION = 200  # trials that are read at once: some ten MB of text
# Whoever lost the trial to another runner must not write over its rows: the row is stored while the lease is ours.
_KEEP = sa.text(
    "insert into darts_run (study, trial, fold, seed, duration, content) "
    "select :study, :trial, :fold, :seed, :duration, :content where exists (select 1 from darts_lease "
    "where study = :study and trial = :trial and owner = :owner and epoch = :epoch) "
    "on conflict (study, trial, fold, seed) do update set duration = excluded.duration, content = excluded.content"
)


@dataclass(frozen=True)
class RunStore:
    """The rows of one study. Every method may raise UserError (database out of reach)."""

    database: Database
    study: str

    def keep(self, lease: Lease, row: RunRow) -> bool:
        """Store the row of a run of a trial that is ours, over an earlier one; False where it is no longer ours."""
        text = json.dumps(row.to_json())
        values = {"fold": row.fold, "seed": row.seed, "duration": row.duration, "content": text}
        values |= {"study": self.study, "trial": lease.trial, "owner": lease.owner, "epoch": lease.epoch}

        def work() -> bool:
            with self.database.engine.begin() as connection:
                return connection.execute(_KEEP, values).rowcount == 1

        return self.database.call(work)

    def forget_checkpoints(self, trial: int) -> None:
        """Say of the runs of a trial that their checkpoints are gone."""
        for row in self.rows(trial):
            if row.checkpoint is not None:
                text = json.dumps(replace(row, checkpoint=None).to_json())
                this = (runs.c.study == self.study, runs.c.trial == trial, runs.c.fold == row.fold)
                self._write(runs.update().where(*this, runs.c.seed == row.seed).values(content=text))

    def rows(self, trial: int) -> list[RunRow]:
        """The rows of one trial, by number, in no order of meaning."""
        return self._read(trial, trial).get(trial, [])

    def portions(self, first: int, last: int) -> Iterator[dict[int, list[RunRow]]]:
        """Rows of trials `first` to `last`, both included, by number, a few hundred trials at a time."""
        for start in range(first, last + 1, PORTION):
            yield self._read(start, min(last, start + PORTION - 1))

    def _write(self, statement: sa.Executable) -> None:
        def work() -> None:
            with self.database.engine.begin() as connection:
                connection.execute(statement)

        self.database.call(work)

    def _read(self, first: int, last: int) -> dict[int, list[RunRow]]:
        chosen = sa.select(runs.c.trial, runs.c.content).where(
            runs.c.study == self.study, runs.c.trial >= first, runs.c.trial <= last
        )

        def work() -> list[Any]:
            with self.database.engine.connect() as connection:
                return list(connection.execute(chosen))

        found: dict[int, list[RunRow]] = {}
        for trial, text in self.database.call(work):
            found.setdefault(trial, []).append(RunRow.from_json(json.loads(text)))
        return found
