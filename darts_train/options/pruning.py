"""Options: when trials of a search are stopped before their end."""

from dataclasses import dataclass

from darts_train.options.fields import OptionGroup


@dataclass(frozen=True, kw_only=True)
class Pruning(OptionGroup):
    """When a trial is stopped before its end."""
