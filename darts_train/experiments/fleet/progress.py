"""What a runner tells of its work while it goes on, for those who watch."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RunStep:
    """A run has begun, or come so far: `epoch` of `epochs` are done.

    `lane`: which of a runner's processes does it, from 0. `score`: the metric of the last validation, if any.
    `seconds`: of a run that is over, else None. `finished`: whether it came to its end.
    """

    lane: int
    cv_name: str
    fold: int
    seed: int
    epoch: int
    epochs: int
    score: float | None = None
    seconds: float | None = None
    finished: bool = False


@dataclass(frozen=True)
class TrialEnd:
    """A trial has ended, with a score unless it failed or was pruned."""

    number: int
    words: str
    score: float | None


Step = RunStep | TrialEnd
Watch = Callable[[Step], None]


def unwatched(step: Step) -> None:
    """Nobody watches."""
