"""Options: several runners of one search on one machine."""

from dataclasses import dataclass

from darts_train.options.fields import OptionGroup, option
from darts_train.options.learning import Strategy


@dataclass(frozen=True, kw_only=True)
class Fleet(OptionGroup):
    """Who does the work of a search; --device takes a list, such as 0,1,2."""

    runs_per_device: int = option("Runs that share a device; more than one is for small networks.", 1, low=1)
    strategy: Strategy = option("What several devices share: trials (tune-parallel, auto), or runs of one.", "auto")
    max_retries: int = option("How often a run that the machine failed, or killed, is tried again.", 3, low=0)
