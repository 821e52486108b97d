"""Options of an ONNX file that another program takes as it is: habitat-mapper, or QGIS with Deepness."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option

SidecarKind = Literal["habitat-mapper"]


@dataclass(frozen=True, kw_only=True)
class Sidecars(OptionGroup):
    """ONNX for habitat-mapper or for QGIS."""

    sidecar: SidecarKind | None = option("Make the ONNX for this program, and write its JSON beside it.", None)
    sidecar_name: str | None = option("habitat-mapper: name of the model; none: that of the file.", None)
    revision: str | None = option("habitat-mapper: YYYYMMDD or YYYYMMDD-variant; none: today.", None)
    dependency_base_url: str | None = option("habitat-mapper: where the ONNX will be found; none: where it is.", None)
    species_model: Path | None = option(
        "habitat-mapper: model of two species where --model finds any (legacy, two heads).", None
    )
    deepness: bool = option("Make the ONNX for the QGIS plugin Deepness.", False)
    deepness_resolution: float | None = option("Deepness: centimetres of a pixel.", None, above=0)
    deepness_overlap: int = option(
        "Deepness: share of a tile that neighbours have in common, percent.", 25, low=0, high=90
    )
    tiles_size: int | None = option("Deepness: side of a tile, pixels; none: the patch size.", None, low=1)
    scale: float | None = option("Value of one count of an integer image; none: as in training.", None, above=0)
    offset: float | None = option("Value of count 0 of an integer image; none: as in training.", None)
    nodata: float | None = option("Count that means no data; none: as in training.", None)
