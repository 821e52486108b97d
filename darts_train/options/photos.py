"""Options for pictures without a place on the earth."""

from dataclasses import dataclass
from typing import Literal

from darts_train.options.fields import OptionGroup, option

FitChoice = Literal["tile", "resize", "letterbox", "pad"]


@dataclass(frozen=True, kw_only=True)
class Photos(OptionGroup):
    """How pictures of any size are fitted, and how their masks are read."""

    fit: FitChoice = option(
        "Images to patches: cut (tile), or one patch each: resize, letterbox (in proportion, then pad), pad.", "tile"
    )
    mask_threshold: float | None = option(
        "Masks of grey values: greater ones are class 1; none: as classes.", None, low=0
    )
    mask_colours: str | None = option("Masks in colours: RRGGBB to class, '000000:0,ff0000:1' (-100: ignore).", None)
