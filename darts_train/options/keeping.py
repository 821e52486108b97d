"""Options: what stays of a search, and what it may cost."""

from dataclasses import dataclass

from darts_train.options.fields import OptionGroup


@dataclass(frozen=True, kw_only=True)
class Keeping(OptionGroup):
    """What stays of a search."""
