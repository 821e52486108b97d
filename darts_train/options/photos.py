"""Options for pictures without a place on the earth."""

from dataclasses import dataclass

from darts_train.options.fields import OptionGroup


@dataclass(frozen=True, kw_only=True)
class Photos(OptionGroup):
    """How pictures of any size are fitted, and how their masks are read."""
