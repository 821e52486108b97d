"""Options of the groups that stay together in every split."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option

Cue = Literal["footprint", "similarity", "columns"]
Unit = Literal["sample", "patch"]
OversizeAction = Literal["keep", "tighten"]


@dataclass(frozen=True, kw_only=True)
class Grouping(OptionGroup):
    """What puts two samples into one group; a sample is a scene, a tile, a photo with all its patches."""

    by: tuple[Cue, ...] | None = option(
        "Cues: footprint, similarity, columns; none: footprint where samples have a place, similarity where one has "
        "none, columns where --same is given.",
        None,
    )
    min_overlap: float = option(
        "footprint: least shared area, as a share of the smaller footprint.", 0.01, above=0, high=1
    )
    similarity: float | None = option(
        "similarity: least cosine; none: 0.9 of descriptors, 0.97 of an encoder's features.", None, above=0, high=1
    )
    same: tuple[str, ...] | None = option("columns: samples with equal values in all of these are together.", None)
    bands: tuple[str, ...] | None = option("Bands to use, in this order; none: all of the set.", None)
    embedding: str = option("descriptor (needs no weights), or an encoder such as tu-resnet50.", "descriptor")
    embedding_weights: str | None = option(
        "Weights of the encoder: a file, or a name such as imagenet, which is fetched.", None
    )
    unit: Unit = option("What is grouped; patch: patches of a sample may come apart.", "sample")
    max_group: int = option("Largest group that is welcome.", 100, low=2)
    max_group_action: OversizeAction = option(
        "What becomes of larger ones: kept whole, with a warning; or held to a higher similarity.", "keep"
    )
    split_column: str | None = option("Column of train, val and test to compare with; none: split, if there.", None)
    sheet: Path | None = option("PNG to write, with pictures of the largest groups.", None)
    report: Path | None = option("JSON file to write, with all groups of two or more.", None)
    dry_run: bool = option("Find and report the groups, and do not write them.", False)
