"""What stays of a search's checkpoints: those of its best trials.

Done in the study's door, where nobody takes a trial or tells a result: what is best stays so meanwhile. Only trials
that have ended lose theirs: those that run or wait for a runner go on from them.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from darts_train.artifacts import names
from darts_train.artifacts.kept import remove_checkpoints
from darts_train.artifacts.run_infos import RUN_INFOS_FILE, read_run_infos, write_run_infos
from darts_train.artifacts.tree import parse_run_directory
from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.experiments.database.run_store import RunStore
from darts_train.experiments.database.storage import Database
from darts_train.experiments.database.study_sql import ask, of_study, state_name, trials
from darts_train.experiments.searching.study import Search
from darts_train.experiments.status import ENDED, best_trials

_log = logger("experiments")


@dataclass(frozen=True)
class CheckpointKeeper:
    """Removes the checkpoints of all but the `count` best trials of a search; None: of none."""

    search: Search
    database: Database
    count: int | None
    words: str  # as they were asked for
    _done: set[int] = field(default_factory=set)  # trials that have nothing here that could be removed

    def tidy(self) -> set[int]:
        """Remove what is not to be kept, on this machine; the trials, by number, that have no checkpoints any more.

        The caller is in the study's door. A file that cannot be removed is a warning: the search is more than that.
        """
        if self.count is None:
            return set()
        best = {number for _, number in best_trials(self.database, self.search.name, self.count)}
        selection = of_study(self.search.name, trials.c.number).where(state_name.in_(ENDED))
        others = {int(number) for (number,) in ask(self.database, selection)} - best
        for number in sorted(others - self._done):
            try:
                self._remove(number)
                self._done.add(number)
            except (OSError, UserError) as error:
                _log.warning("trial %d: its checkpoints stay: %s", number, error)
        return others

    def _remove(self, number: int) -> None:
        cv_name = names.cv_name(self.search.name, number)
        directory = self.search.directory / cv_name
        why = f"--keep-checkpoints {self.words} of {self.search.name}"
        for path in _run_directories(directory):
            remove_checkpoints(path, why)
        if (directory / RUN_INFOS_FILE).is_file():
            infos = read_run_infos(directory)
            if infos["checkpoint"].notna().any():
                write_run_infos(directory, infos.assign(checkpoint=pd.Series([None] * len(infos), dtype="object")))
        RunStore(self.database, self.search.name).forget_checkpoints(number)


def _run_directories(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return [path for path in directory.iterdir() if path.is_dir() and parse_run_directory(path) is not None]
