"""Stop within a run: at rungs of epochs only the best share of all trials that came so far goes on.

Asynchronous successive halving (Li and others 2020, A System for Massively Parallel Hyperparameter Tuning) in the form
that stops: nobody waits at a rung until others arrive. A run is compared with what other trials had after as many
epochs of the same fold and seed. Rungs end a run early and never shorten it: schedules of the
learning rate are those of `max_epochs`, and a run that somebody wants after all goes on from its checkpoint.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from darts_train.experiments.pruning.record import Key, Record
from darts_train.experiments.pruning.rule import PruningRule


@dataclass(frozen=True)
class Standing:
    """Where a run stands among those that came as far: `better` of `count` others are; `least` would be enough."""

    score: float
    better: int
    count: int
    least: float
    best: Record

    def passes(self, reduction: float) -> bool:
        """Whether the run belongs to the best share, one in `reduction` of all, itself included."""
        return self.better < allowed(self.count + 1, reduction)


def allowed(count: int, reduction: float) -> int:
    """How many of `count` pass a rung: a share of one in `reduction`, rounded up."""
    return max(1, math.ceil(count / reduction))


def standing(candidate: Record, others: Sequence[Record], key: Key, epochs: int, rule: PruningRule) -> Standing | None:
    """A run among those of other trials on the same fold and seed, after as many epochs.

    None where the run has not come so far, or fewer than `rule.warmup` others have.
    """
    score = candidate.at(key, epochs)
    known = [(there, other) for other in others if (there := other.at(key, epochs)) is not None]
    if score is None or not known or len(known) < rule.warmup:
        return None
    ranked = sorted((there for there, _ in known), reverse=True)
    better = sum(there > score for there in ranked)
    least = ranked[min(allowed(len(ranked) + 1, rule.reduction), len(ranked)) - 1]
    return Standing(score, better, len(ranked), least, max(known, key=lambda pair: pair[0])[1])


def is_behind(
    candidate: Record, others: Sequence[Record], key: Key, rungs: Sequence[int], rule: PruningRule
) -> Standing | None:
    """Where a run stands, if it came to a rung and passes neither there nor within `rule.patience` validations after.

    Asked after every validation of the run. A rung that does not fall on a validation is that of the next one.
    """
    curve = candidate.curves.get(key, ())
    if not curve:
        return None
    passed = [rung for rung in rungs if rung <= curve[-1][0]]
    if not passed:
        return None
    since = [epochs for epochs, _ in curve if epochs >= passed[-1]]
    if len(since) != rule.patience + 1:
        return None
    found = [standing(candidate, others, key, epochs, rule) for epochs in since]
    if any(one is None or one.passes(rule.reduction) for one in found):
        return None
    return found[-1]
