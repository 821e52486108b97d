"""Options of chips: imported into train data, and exported from it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option


@dataclass(frozen=True, kw_only=True)
class Chips(OptionGroup):
    """Chips that were cut by another program: NPZ files, pictures with masks, parquet shards."""

    chips_dir: tuple[Path, ...] = option("Directory of chips, a parquet shard or an NPZ file.", commas=False)
    band_names: tuple[str, ...] | None = option(
        "Names of the bands; none: red, green, blue of three bytes, else band_1, ….", None
    )
    scale: float | None = option("Value of one count; none: 1.", None, above=0)
    offset: float | None = option("Value of count 0; none: 0.", None)
    nodata: float | None = option("Count that means no data; none: as the file says.", None)
    black: Literal["auto", "nodata", "data"] = option(
        "Pixels that are 0 in all bands: no data, or data; auto: no data in NPZ files that do not say it.", "auto"
    )
    classes: tuple[str, ...] = option("Names of the classes; the first is the background.", ("background", "positive"))
    remap: str | None = option("Label value to class index: '0:0,4:1,9:-100' (-100: ignore), or a list.", None)
    remap_format: Literal["auto", "list", "pairs"] = option(
        "--remap without colons is a list (position: old value), or pairs (old new old new); auto: a list.", "auto"
    )
    group_pattern: str | None = option(
        "Expression whose first parenthesis in a chip's name is its group; none: each chip stands alone.", r"(.+)_\d+"
    )
    image_column: str | None = option("Parquet: column of the images; none: image, image.tif, ….", None)
    label_column: str | None = option("Parquet: column of the labels; none: label, label.tif, mask, ….", None)


@dataclass(frozen=True, kw_only=True)
class ChipSet(OptionGroup):
    """The train data directory to be written, and how an earlier one is treated."""

    train_data_dir: Path = option("Train data directory to write; the same settings again add what is missing.")
    append: bool = option("Add to a set that is there; --no-append refuses.", True)
    overwrite: bool = option("Start the directory anew.", False)
    dry_run: bool = option("Only say what would be done: scenes, patches, disk.", False)


@dataclass(frozen=True, kw_only=True)
class ExportChips(OptionGroup):
    """Patches as NPZ files for other programs."""

    train_data_dir: Path = option("Train data directory.")
    out_dir: Path = option("Directory of the chips.")
    where: str | None = option("Export only patches that satisfy this, such as \"split == 'val'\".", None)
    values: Literal["auto", "counts", "physical"] = option(
        "Whole counts, or physical values (float32); auto: counts where all bands have them.", "auto"
    )
    overwrite: bool = option("Replace chips that are there.", False)
