"""Options that say which image belongs to which labels, beyond a table or two directories."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option

PART = frozenset({"splits", "only"})  # say which part is done now, not what the set is


@dataclass(frozen=True, kw_only=True)
class Pairing(OptionGroup):
    """How images and labels are found, and what is done where their grids differ."""

    pairs_dir: Path | None = option(
        "Directory of train, val and test, each with images and labels; kept as the column split.", None
    )
    image_pattern: str | None = option("Name of an image, with {id}: '{id}_satellite.tif'; none: any image.", None)
    label_pattern: str | None = option("Name of its labels, with {id}: '{id}_kelp.tif'; none: equal stems.", None)
    splits: tuple[str, ...] | None = option("Only images of these splits; others can be added later.", None)
    only: tuple[str, ...] | None = option(
        "Only the image of this id or file name; can be repeated.", None, commas=False
    )
    align: bool = option("Bring label rasters onto the pixels of their images (nearest); no: refuse others.", False)
    remap_format: Literal["auto", "list", "pairs"] = option(
        "--remap without colons is a list (position: old value), or pairs (old new old new); auto: a list.", "auto"
    )
    unmapped: Literal["refuse", "ignore"] = option("Label values that --remap does not name.", "refuse")
    zero_is_nodata: bool = option("Pixels that are 0 in all bands have no data; one band of 0 is a value.", False)
