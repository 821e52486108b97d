"""How often a trial was begun since it last got on: what ends one that kills its runner each time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.trial import Trial

from darts_train.experiments.database.storage import Database

ATTEMPTS = "attempts"  # attribute of a trial


def attempts_of(attributes: Mapping[str, Any]) -> int:
    """Attempts at a trial that did not end well, or have not ended yet, since its last finished run."""
    return int(attributes.get(ATTEMPTS, 0))


@dataclass
class Attempts:
    """The count of one trial, kept in the study. Every method may raise UserError (database out of reach)."""

    database: Database
    trial: Trial
    count: int = 0

    def begin(self) -> None:
        """One more."""
        self._write(self.count + 1)

    def got_on(self) -> None:
        """A run has finished: what is tried from here on is tried for the first time."""
        if self.count > 1:
            self._write(1)

    def left(self) -> None:
        """It was left on purpose, and nothing had gone wrong."""
        self._write(max(self.count - 1, 0))

    def _write(self, count: int) -> None:
        self.database.call(lambda: self.trial.set_user_attr(ATTEMPTS, count))
        self.count = count
