"""Options that say where indices mean nothing."""

from dataclasses import dataclass

from darts_train.options.fields import OptionGroup


@dataclass(frozen=True, kw_only=True)
class Masking(OptionGroup):
    """Bands of quality and elevation that say where indices mean nothing."""
