"""Options of the pixel baseline: what a network has to beat."""

from dataclasses import dataclass
from typing import Literal

from darts_train.options.fields import OptionGroup, option

PixelModel = Literal["trees", "xgboost"]


@dataclass(frozen=True, kw_only=True)
class Baseline(OptionGroup):
    """Boosted trees that look at one pixel at a time."""

    pixel_model: PixelModel = option("trees: those of scikit-learn; xgboost: the extra of that name.", "trees")
    pixels_per_class: int = option(
        "Training pixels at most of each foreground class, of the ring around them, and of all others.",
        50_000,
        low=1,
    )
    ring_width: int = option("Width in pixels of the ring around foreground.", 10, low=0)
    boosting_rounds: int = option("Rounds of boosting; each adds a tree per class.", 100, low=1)
    balance_classes: bool = option("Let every class weigh the same in all; no: as often as its pixels occur.", True)
    run_name: str | None = option("Name of the baseline; none: a random one.", None)
    fold: int = option("Which fold validates.", 0, low=0)
    random_seed: int = option("Seed of the pixels that are drawn.", 42, low=0)
