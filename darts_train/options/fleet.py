"""Options: several runners of one search on one machine."""

from dataclasses import dataclass

from darts_train.options.fields import OptionGroup


@dataclass(frozen=True, kw_only=True)
class Fleet(OptionGroup):
    """Several runners of one search, on the devices of this machine."""
