"""What is known of a trial, for rules to compare. Scores are higher-is-better here, whatever the metric."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Key = tuple[int, int]  # fold and seed of a run
Curve = tuple[tuple[int, float], ...]  # after how many epochs, and the score of the best checkpoint until then


@dataclass(frozen=True)
class Record:
    """What is known of a trial.

    Attributes:
        number: of the trial.
        runs: score of each run that came to its end; -inf where it is unstable.
        curves: of each run that was watched, its end or not.
        complete: all its runs came to their end, and are stable.
    """

    number: int
    runs: Mapping[Key, float] = field(default_factory=dict)
    curves: Mapping[Key, Curve] = field(default_factory=dict)
    complete: bool = False

    @property
    def score(self) -> float:
        """Mean over the runs that came to their end; -inf where there is none."""
        return math.fsum(self.runs.values()) / len(self.runs) if self.runs else -math.inf

    def at(self, key: Key, epochs: int) -> float | None:
        """Score of the best checkpoint of the first `epochs` of a run; None where it has not come that far.

        A run that ended earlier, since it no longer gained, stays where it ended.
        """
        curve = self.curves.get(key, ())
        if not curve or (curve[-1][0] < epochs and key not in self.runs):
            return None
        passed = [score for done, score in curve if done <= epochs]
        return passed[-1] if passed else None


def incumbent(records: Sequence[Record]) -> Record | None:
    """The best complete record, the earliest of equals; None where there is none."""
    complete = [record for record in records if record.complete]
    return max(complete, key=lambda record: (record.score, -record.number), default=None)
