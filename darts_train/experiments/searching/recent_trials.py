"""A study as a sampler that learns sees it: of a long search the best and the newest trials only.

Optuna's samplers read all trials at every proposal, several times: seconds each where there are ten thousand, and what
they learn from more than some hundreds is nothing.

A trial that needs more memory than there is has failed, of which they learn nothing at all. Here it looks like one that
was pruned before its first score: the worst there is, so that its like becomes rare.
"""

import copy
from collections.abc import Container
from typing import Any, cast

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

INFEASIBLE = "infeasible"  # attribute of a trial that needs more memory than there is


class RecentTrials:
    """Gives views of a study with at most `most` finished trials (None: all), half of them the best.

    One view serves all that is asked for one trial.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._view: tuple[int, Study] | None = None

    def of(self, study: Study, number: int) -> Study:
        """The study, or the view of it as it was when trial `number` first asked."""
        if self._most is None:
            return study
        if self._view is None or self._view[0] != number:
            self._view = (number, cast(Study, _View(study, _kept(study, self._most))))
        return self._view[1]


class _View:
    """All that a sampler asks of a study, but for the trials."""

    def __init__(self, study: Study, trials: list[FrozenTrial]) -> None:
        self._study, self._kept = study, trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        """The kept trials in these states."""
        return [trial for trial in self._kept if states is None or trial.state in states]

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return self.get_trials(deepcopy, states)


def _kept(study: Study, most: int) -> list[FrozenTrial]:
    """Trials by number: all that run, the best half of `most` among the complete ones, and the newest."""
    trials = [_feasible_or_worst(trial) for trial in study._get_trials(deepcopy=False, use_cache=False)]
    ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    if len(ended) <= most:
        return trials
    best = set(_by_rank(study, [trial for trial in ended if trial.state == TrialState.COMPLETE])[: most // 2])
    others = [trial.number for trial in ended if trial.number not in best]
    kept = best | set(others[len(best) - most :])
    return [trial for trial in trials if trial.number in kept or not trial.state.is_finished()]


def _feasible_or_worst(trial: FrozenTrial) -> FrozenTrial:
    if trial.state != TrialState.FAIL or not trial.user_attrs.get(INFEASIBLE):
        return trial
    worst = copy.copy(trial)
    worst.state = TrialState.PRUNED
    return worst


def _by_rank(study: Study, trials: list[FrozenTrial]) -> list[int]:
    """Numbers of trials, the best first; of several objectives by the sum of their ranks."""
    ranks = dict.fromkeys((trial.number for trial in trials), 0)
    for position, direction in enumerate(study.directions):
        sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
        ordered = sorted(trials, key=lambda trial, at=position, sign=sign: sign * trial.values[at])  # type: ignore[misc]
        for rank, trial in enumerate(ordered):
            ranks[trial.number] += rank
    return sorted(ranks, key=lambda number: ranks[number])
