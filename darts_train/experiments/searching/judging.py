"""Who says that a trial is not worth going on with.

A judge sees a trial's runs as they end and, where it wants to, their validations; it answers with a reason to stop,
or None. What it compares them with is its own affair (`pruning/`).
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from darts_train.artifacts.run_infos import RunRow


class Judge(Protocol):
    """The judge of one trial."""

    watches_validations: bool
    """Whether `at_validation` is to be asked at all."""

    def after_run(self, rows: Sequence[RunRow]) -> str | None:
        """Asked after each run, with the rows of all runs of the trial so far: why to stop, or None."""

    def at_validation(self, fold: int, seed: int, epochs: int, metrics: Mapping[str, float]) -> str | None:
        """Asked when `epochs` of the run are done and validated: why to stop, or None."""
