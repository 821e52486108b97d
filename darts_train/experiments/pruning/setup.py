"""A search with what its options say of stopping."""

import dataclasses

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.experiments.pruning.rule import PruningRule, rule_of
from darts_train.experiments.searching.study import Search
from darts_train.experiments.space.early_terminate import EarlyTerminate
from darts_train.options.learning import Training
from darts_train.options.pruning import Pruning

_log = logger("experiments")


def with_pruning(search: Search, options: Pruning | None, otherwise: PruningRule | None = None) -> Search:
    """The search with its rule and its end; as it is without options.

    `otherwise` is the rule where options ask for none: that of a sweep file, or of the sweep that is joined.
    Raises UserError for a rule that does nothing.
    """
    rule = rule_of(options, search.settings.training.max_epochs) or otherwise
    stop_when_done = options is not None and options.stop_when_done
    if search.multi_objective and (rule or stop_when_done):
        raise UserError(
            "--multi-objective: no one score says which trial to stop; leave out --prune and --stop-when-done."
        )
    return dataclasses.replace(search, pruning=rule, stop_when_done=stop_when_done)


def hyperband(asked: EarlyTerminate, training: Training) -> PruningRule | None:
    """The rule of a sweep file's `early_terminate`, whose iterations are validations; None where no rung comes."""
    first = asked.min_iter or int((asked.max_iter or 1) / asked.eta ** (asked.s or 0))
    epochs = max(1, first) * training.check_val_every_n_epoch
    rule = PruningRule(folds=False, epochs=True, reduction=asked.eta, min_epochs=epochs, patience=0)
    if not rule.rungs(training.max_epochs):
        _log.warning("early_terminate: no rung comes before --max-epochs %d; nothing is stopped.", training.max_epochs)
        return None
    return rule
