"""Options that say which image belongs to which labels, beyond a table or two directories."""

from dataclasses import dataclass

from darts_train.options.fields import OptionGroup


@dataclass(frozen=True, kw_only=True)
class Pairing(OptionGroup):
    """How images and labels are found, and what is done where their grids differ."""
