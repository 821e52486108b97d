"""Options of comparing maps with labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option
from darts_train.options.postprocessing import MapValues


@dataclass(frozen=True, kw_only=True)
class Evaluate(OptionGroup):
    """Maps and labels that are compared, and where the result goes."""

    predictions: tuple[Path, ...] = option("Map directories, a directory of them, or rasters.", commas=False)
    map_values: MapValues = option(
        "What a raster holds: classes, probabilities as percent, or 0 to 1 (unit); auto: as it says.", "auto"
    )
    labels: tuple[Path, ...] = option("Label rasters or polygons, by name; one vector file: for all.", commas=False)
    out_dir: Path = option("Directory of the evaluation.")
    threshold: float | None = option(
        "Probability that makes a positive; none: the classes as they are.", None, above=0, high=1
    )
    unpredicted: Literal["ignore", "background"] = option(
        "Labelled pixels of which a map says nothing: not counted, or counted as background.", "ignore"
    )
    match_iou: float = option("Least IoU of an object found.", 0.5, above=0, high=1)
    json: bool = option("Print JSON.", False)
    overwrite: bool = option("Replace an evaluation that is there.", False)


@dataclass(frozen=True, kw_only=True)
class Matching(OptionGroup):
    """Which labels belong to which map, and where it lies."""

    prediction_pattern: str | None = option("Name of a map, with {id}: '{id}_toa6'; none: any name.", None)
    label_pattern: str | None = option("Name of its labels, with {id}: '{id}_kelp.tif'; none: equal stems.", None)
    only_pairs: bool = option("Compare what has a partner, and list the rest; no: refuse.", False)
    align: bool = option("Bring label rasters onto the pixels of their images (nearest); no: refuse others.", False)
    admin_dir: Path | None = option(
        "Vector file of regions, or a directory of one; none: No Region.", None, aliases=("--regions",)
    )
    region_column: str | None = option("Name column of the regions; none: shapeName, or name.", None)


@dataclass(frozen=True, kw_only=True)
class LabelValues(OptionGroup):
    """What labels mean."""

    classes: tuple[str, ...] | None = option("Names of the classes, background first; none: as the maps say.", None)
    remap: str | None = option("Label value to class index: '0:0,4:1,9:-100' (-100: ignore), or a list.", None)
    remap_format: Literal["auto", "list", "pairs"] = option(
        "--remap without colons is a list (position: old value), or pairs (old new old new); auto: a list.", "auto"
    )
    unmapped: Literal["refuse", "ignore"] = option("Label values that --remap does not name.", "refuse")
    prediction_remap: str | None = option("The same of maps that are rasters of classes: '0:0,255:1'.", None)
    class_column: str | None = option("Polygons: column whose value is a class name; none: all are class 1.", None)
    label_filter: str | None = option("Only polygons with COLUMN=VALUE, or COLUMN=VALUE|VALUE.", None)
    label_extent: Path | None = option("Polygons of what was labelled; outside, nothing is counted; none: all.", None)


@dataclass(frozen=True, kw_only=True)
class Atlas(OptionGroup):
    """The picture of the worst places."""

    atlas_tiles: int = option("Tiles shown, the worst first; 0: no atlas.", 24, low=0, high=400)
    atlas_tile_size: int = option("Side of a tile, pixels.", 256, low=16, high=4096)
    images: tuple[Path, ...] | None = option(
        "Rasters that the maps are of, by name; none: no image.", None, commas=False
    )
    band_names: tuple[str, ...] | None = option("Names of the bands in the files; none: their descriptions.", None)
