"""Both rules together: why to stop a trial, in words, or None. Pure: what the records say decides."""

import math
from collections.abc import Collection, Sequence

from darts_train.experiments.pruning.epoch_rule import is_behind
from darts_train.experiments.pruning.fold_rule import Compared, compare
from darts_train.experiments.pruning.record import Key, Record
from darts_train.experiments.pruning.rule import PruningRule

SHOWN = 3  # pairs in a reason


def after_run(
    candidate: Record, others: Sequence[Record], planned: Collection[Key], rule: PruningRule, lower: bool = False
) -> str | None:
    """Why a trial is to be stopped after a run, or None. One whose `planned` runs are all done is not in question.

    `lower` says that scores were negated, because less is better, so that words show what the user knows.
    """
    if not rule.folds or set(planned) <= set(candidate.runs):
        return None
    found = compare(candidate, others, planned, rule)
    if found is None or not found.hopeless(rule.guard):
        return None
    return _folds_in_words(found, len(planned), rule.guard, lower)


def at_validation(
    candidate: Record,
    others: Sequence[Record],
    planned: Sequence[Key],
    max_epochs: int,
    rule: PruningRule,
    lower: bool = False,
) -> str | None:
    """Why a trial is to be stopped after the latest validation of the first of its `planned` runs, or None.

    Rungs are for first runs. What comes to a second one is close to the best, and a rank among few that are close
    would stop the best half of the time (docs/benchmarks.md); from there on runs are compared in pairs.
    """
    key = planned[0]
    curve = candidate.curves.get(key, ())
    if not curve or curve[-1][0] >= max_epochs or any(other in candidate.runs for other in planned):
        return None
    found = is_behind(candidate, others, key, rule.rungs(max_epochs), rule)
    if found is None:
        return None
    return (
        f"fold {key[0]}, seed {key[1]}: {_shown(found.score, lower)} after {curve[-1][0]} epochs is behind "
        f"{found.better} of {found.count} other trials; {_shown(found.least, lower)} would have gone on "
        f"(best: trial {found.best.number})"
    )


def _folds_in_words(found: Compared, planned: int, guard: float, lower: bool) -> str:
    pairs = [
        f"fold {fold}, seed {seed}: {_shown(own, lower)} against {_shown(best, lower)}"
        for (fold, seed), own, best in found.pairs[-SHOWN:]
    ]
    before = f"…; {'; '.join(pairs)}" if len(found.pairs) > SHOWN else "; ".join(pairs)
    if not math.isfinite(found.difference):
        return f"{before} of trial {found.best.number}; it is unstable, so it cannot be chosen"
    difference = -found.difference if lower else found.difference
    return (
        f"{before} of trial {found.best.number}; after {len(found.pairs)} of {planned} runs the mean differs by "
        f"{difference:+.4f}, and {guard:g} standard errors are {guard * found.error:.4f}"
    )


def _shown(score: float, lower: bool) -> str:
    return f"{-score if lower else score:.4f}" if math.isfinite(score) else "unstable"
