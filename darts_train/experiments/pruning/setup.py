"""A search with what its options say of stopping."""

import dataclasses

from darts_train.base.errors import UserError
from darts_train.experiments.pruning.rule import rule_of
from darts_train.experiments.study import Search
from darts_train.options.pruning import Pruning


def with_pruning(search: Search, options: Pruning | None) -> Search:
    """The search with its rule and its end; as it is without options. Raises UserError for a rule that does nothing."""
    rule = rule_of(options, search.settings.training.max_epochs)
    stop_when_done = options is not None and options.stop_when_done
    if search.multi_objective and (rule or stop_when_done):
        raise UserError(
            "--multi-objective: no one score says which trial to stop; leave out --prune and --stop-when-done."
        )
    return dataclasses.replace(search, pruning=rule, stop_when_done=stop_when_done)
