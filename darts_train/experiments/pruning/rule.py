"""When trials are stopped before their end, as settings."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from darts_train.base.errors import UserError
from darts_train.options.fields import flag_name
from darts_train.options.pruning import Pruning


@dataclass(frozen=True)
class PruningRule:
    """Which trials are stopped, and when. Made from options by `rule_of`; may as well be made from a sweep file.

    wandb's `early_terminate` of type hyperband is `PruningRule(folds=False, epochs=True, min_epochs=min_iter,
    reduction=eta, patience=0)`; with `max_iter` and `s` in place of `min_iter`, min_epochs is max_iter / eta**s.

    Attributes:
        folds: after every run a trial is compared with the best one.
        epochs: within the first run of each trial, at rungs of epochs, only the best share goes on.
        reduction: one trial in this many passes a rung; each rung has this many times the epochs of the one before.
        min_epochs: epochs of the first rung; None: so that there are two rungs.
        patience: validations after a rung in which a run that is behind may still catch up.
        warmup: trials that must have come to a rung, or to their end, before others are stopped.
        guard: standard errors by which a trial must be behind the best one.
    """

    folds: bool = True
    epochs: bool = False
    reduction: float = 3.0
    min_epochs: int | None = None
    patience: int = 1
    warmup: int = 4
    guard: float = 2.0

    def __post_init__(self) -> None:
        """Raise UserError for settings that cannot be."""
        if not (self.reduction > 1 and math.isfinite(self.reduction)):
            raise UserError(f"--prune-reduction: {self.reduction} must be greater than 1.")
        if self.min_epochs is not None and self.min_epochs < 1:
            raise UserError(f"--prune-min-epochs: {self.min_epochs} is below the least value, 1.")

    def rungs(self, max_epochs: int) -> tuple[int, ...]:
        """Epochs of each rung, ascending; none without `epochs`.

        The last is so far from the end that to stop there saves something: a run has at least √reduction times its
        epochs. A first one that was asked for stands wherever it is before the end.
        """
        if not self.epochs:
            return ()
        first = self.min_epochs or max(1, round(max_epochs / self.reduction**2))
        found = [first] if first < max_epochs else []
        rung = first * self.reduction
        while round(rung) * math.sqrt(self.reduction) <= max_epochs:
            if round(rung) > found[-1]:
                found.append(round(rung))
            rung *= self.reduction
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Plain values, of what is not at its default."""
        fields = dataclasses.fields(self)
        return {field.name: value for field in fields if (value := getattr(self, field.name)) != field.default}


def rule_of(options: Pruning | None, max_epochs: int) -> PruningRule | None:
    """The rule that options ask for; None where nothing is to be stopped.

    Raises UserError where settings of pruning are given and nothing is pruned, and where no rung comes before
    `max_epochs`.
    """
    if options is None or not (options.prune or options.prune_epochs):
        _refuse_idle(options)
        return None
    rule = PruningRule(
        options.prune, options.prune_epochs, options.prune_reduction, options.prune_min_epochs,
        options.prune_patience, options.prune_warmup, options.prune_guard,
    )  # fmt: skip
    if rule.epochs and not rule.rungs(max_epochs):
        first = f"{rule.min_epochs} epochs" if rule.min_epochs else "one epoch"
        raise UserError(f"--prune-epochs: no rung comes before --max-epochs {max_epochs}; the first is at {first}.")
    return rule


def _refuse_idle(options: Pruning | None) -> None:
    for field in dataclasses.fields(Pruning) if options is not None else ():
        if field.name.startswith("prune_") and getattr(options, field.name) != field.default:
            flag = flag_name(field.name)
            raise UserError(f"{flag} says how trials are stopped, but neither --prune nor --prune-epochs is given.")
