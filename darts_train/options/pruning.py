"""Options: when trials of a search are stopped before their end."""

from dataclasses import dataclass

from darts_train.options.fields import OptionGroup, option


@dataclass(frozen=True, kw_only=True)
class Pruning(OptionGroup):
    """When a trial is stopped before its end."""

    prune: bool = option("After every run, stop a trial that will not reach the best one.", False)
    prune_epochs: bool = option(
        "In its first run, stop a trial at rungs of epochs, which only the best share passes.", False
    )
    prune_reduction: float = option(
        "One trial in this many passes a rung, and the next rung has this many times the epochs.", 3.0, above=1
    )
    prune_min_epochs: int | None = option("Epochs of the first rung; none: so that there are two rungs.", None, low=1)
    prune_patience: int = option("Validations after a rung in which a run may still catch up.", 1, low=0)
    prune_warmup: int = option("Trials that nothing stops, so that there is something to compare with.", 4, low=1)
    prune_guard: float = option("Standard errors by which a trial must be behind the best one.", 2.0, low=0)
    stop_when_done: bool = option("End the search when what it may still gain is within the error of its best.", False)
