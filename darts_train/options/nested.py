"""Options of results that can be trusted: leakage, nested cross-validation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option
from darts_train.options.learning import FoldMethod
from darts_train.options.searching import Sampler


@dataclass(frozen=True, kw_only=True)
class Trust(OptionGroup):
    """What a split must not share."""

    require_leak_free: bool = option(
        "Refuse folds whose parts share pixels, ground, scenes or groups, instead of warning.", False
    )


@dataclass(frozen=True, kw_only=True)
class Nested(OptionGroup):
    """A search in each of several outer folds, whose test parts no search has seen."""

    nested_name: str | None = option("Name; none: a random one. An unfinished one of that name goes on.", None)
    outer_folds: int = option("Outer folds; each is the test part once.", 5, low=2)
    outer_method: FoldMethod = option("How outer folds are made.", "group-stratified")
    hpconfig: Path | None = option("YAML or TOML with a hyperparameters table; none: that of the config file.", None)
    n_trials: int | Literal["grid"] = option("Configurations to try, or grid for every combination.", 100, low=1)
    sampler: Sampler | None = option("How configurations are proposed; none: random.", None)
    with_random_split: bool = option("Also say what folds drawn patch by patch would have claimed.", False)
