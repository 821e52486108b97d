"""Stop between runs: a trial against the best one, run by run, paired by fold and seed.

Folds differ more than configurations do; differences on the same fold and seed do not have that noise. After n of N
pairs with mean difference m, the mean over all N will be m with a standard error of s·√(1/n - 1/N), the error of a
sample of n from N (Cochran 1977, Sampling Techniques, 2.14). The trial is hopeless where even m plus `guard` such
errors is below zero. One pair says nothing of s, few say little, so s² is shrunk to that of earlier trials: with
PRIOR pairs' weight it is the variance of the differences of each complete trial from the best one. So a trial can be
stopped after its first fold. The signed-rank test of Wilcoxon (1945), which assumes no distribution, needs SIGNED_PAIRS
pairs before it can say anything; from there on it may stop a trial, too.
"""

import math
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from darts_train.experiments.pruning.record import Key, Record, incumbent
from darts_train.experiments.pruning.rule import PruningRule

PRIOR = 4.0  # pairs that the variance of earlier trials counts as
SIGNED_PAIRS = 6  # 5 pairs that all are worse have a p of 0.03
SIGNED_P = 0.02


@dataclass(frozen=True)
class Compared:
    """A trial beside the best one: pairs (key, its score, the best one's), their mean difference and its error."""

    best: Record
    pairs: tuple[tuple[Key, float, float], ...]
    difference: float
    error: float
    signed_rank: float | None = None  # p value, where there are enough pairs

    def hopeless(self, guard: float) -> bool:
        """Whether the trial will not reach the best one."""
        by_test = self.signed_rank is not None and self.signed_rank < SIGNED_P
        return self.difference + guard * self.error < 0 or by_test


def compare(
    candidate: Record, others: Sequence[Record], planned: Collection[Key], rule: PruningRule
) -> Compared | None:
    """Compare the runs of a trial, which has `planned` runs, with those of the best of `others`.

    None where there is nothing to compare with: fewer than `rule.warmup` trials are complete, or no run is shared.
    """
    complete = [record for record in others if record.complete]
    best = incumbent(complete)
    if best is None or len(complete) < rule.warmup:
        return None
    shared = [key for key in planned if key in candidate.runs and key in best.runs]
    if not shared:
        return None
    pairs = tuple((key, candidate.runs[key], best.runs[key]) for key in shared)
    differences = [own - other for _, own, other in pairs]
    mean = math.fsum(differences) / len(differences)
    error = standard_error(differences, pooled_variance(complete, best), len(planned))
    return Compared(best, pairs, mean, error, signed_rank(differences))


def standard_error(differences: Sequence[float], prior: float, planned: int) -> float:
    """Standard error of the mean over `planned` pairs, as `differences` of some of them foretell it; 0 at the end.

    `prior` is the variance that is expected before any pair. Infinite differences give 0: they need no guard.
    """
    n = len(differences)
    if not all(map(math.isfinite, differences)):
        return 0.0
    mean = math.fsum(differences) / n
    own = math.fsum((difference - mean) ** 2 for difference in differences)
    variance = (PRIOR * prior + own) / (PRIOR + n - 1)
    return math.sqrt(variance * max(0.0, 1 / n - 1 / planned))


def pooled_variance(complete: Sequence[Record], best: Record) -> float:
    """Median over complete trials of the variance of their differences from the best one; 0 where there are none.

    The median, because trials that learned nothing at all are as far from the best one as folds are hard.
    """
    found = []
    for record in complete:
        differences = [score - best.runs[key] for key, score in record.runs.items() if key in best.runs]
        if record.number != best.number and len(differences) > 1 and all(map(math.isfinite, differences)):
            found.append(statistics.variance(differences))
    return statistics.median(found) if found else 0.0


def signed_rank(differences: Sequence[float]) -> float | None:
    """One-sided p value of the signed-rank test that the differences are not below zero; None for too few pairs."""
    if len(differences) < SIGNED_PAIRS or not any(differences) or not all(map(math.isfinite, differences)):
        return None
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences, alternative="less").pvalue)
