"""When a search is done: what more trials would gain is within the error of the best score.

What a doubling of a search gains is known from the search itself: of n scores in random order, the first half has the
expected best E[M_k] = Σ x_(i)·C(i-1, k-1)/C(n, k), k = n/2, over the scores in ascending order; the second half gains
the best score minus that. This assumes nothing of how scores are distributed, only that trials may change places, as
those of random search do; each further doubling gains less where scores have an upper end, as these have. The error is
the standard error of the best trial's mean over its runs. The comparison is that of Makarova and others (2022,
Automatic Termination for Hyperparameter Optimization), with this bound in place of one from a Gaussian process.
"""

import math
import statistics
from collections.abc import Callable, Sequence

from optuna.trial import FrozenTrial, TrialState

from darts_train.artifacts.run_infos import RunRow
from darts_train.experiments.scoring import ScoringRule, score_runs
from darts_train.experiments.searching.study import UNSTABLE

LEAST = 20  # trials that must have ended


def gain_of_doubling(scores: Sequence[float]) -> float:
    """By how much the best of scores is above the expected best of a random half of them; higher is better."""
    ranked = sorted(scores)
    n, k = len(ranked), len(ranked) // 2
    if k == 0:
        return math.inf
    whole = math.comb(n, k)
    half = math.fsum(score * (math.comb(i, k - 1) / whole) for i, score in enumerate(ranked) if i >= k - 1)
    return max(0.0, ranked[-1] - half)


def standard_error(values: Sequence[float]) -> float:
    """Standard error of the mean of the scores of a trial's runs; 0 for one run, which says nothing of it."""
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def what_is_done(
    trials: Sequence[FrozenTrial], scoring: ScoringRule, rows_of: Callable[[FrozenTrial], Sequence[RunRow]]
) -> str | None:
    """Why no further trial is worth its time, in words; None where one is, or too few have ended to say.

    `rows_of` reads the rows of a trial's runs; it is asked for those of the best one.
    """
    sign = -1 if scoring.direction == "minimize" else 1
    stable = [trial for trial in trials if trial.state == TrialState.COMPLETE and not trial.user_attrs.get(UNSTABLE)]
    scored = [(sign * trial.value, trial) for trial in stable if trial.value is not None and math.isfinite(trial.value)]
    stopped = [trial.intermediate_values for trial in trials if trial.state == TrialState.PRUNED]
    below = [sign * values[max(values)] for values in stopped if values]  # what they had reached when they were stopped
    if not scored or len(scored) + len(below) < LEAST:
        return None
    best, trial = max(scored, key=lambda pair: (pair[0], -pair[1].number))
    runs = [score_runs([row.metrics], scoring).value for row in rows_of(trial) if row.status == "finished"]
    gain = gain_of_doubling([*(score for score, _ in scored), *(min(score, best) for score in below)])
    error = standard_error(runs)
    if not gain < error:
        return None
    return (
        f"as many trials again would gain about {gain:.4f}, and the standard error of the best score is {error:.4f} "
        f"(trial {trial.number}, {len(runs)} runs)"
    )
