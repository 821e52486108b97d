"""Options of the downloads of elevation, trends and pretrained weights."""

from dataclasses import dataclass
from pathlib import Path

from darts_train.options.fields import OptionGroup, option

RESOLUTIONS = (2, 10, 32)  # metres, of the ArcticDEM mosaics


@dataclass(frozen=True, kw_only=True)
class Area(OptionGroup):
    """The area to be filled: the first of bounds, area and data-dir that is given."""

    bounds: tuple[float, ...] | None = option("West,south,east,north in degrees; W > E is across 180.", None)
    area: Path | None = option("Vector file of polygons.", None)
    data_dir: Path | None = option("Directory of scenes whose outlines are the area.", None)
    area_margin: float = option("Metres around the area that are fetched, too.", 1000.0, low=0)


@dataclass(frozen=True, kw_only=True)
class Target(OptionGroup):
    """The folder of tiles to be written; the same call again adds what is missing."""

    target_dir: Path = option("Folder of tiles to write.")
    tile_size: int = option("Side of a tile, pixels.", 2560, low=64, high=8192)
    dry_run: bool = option("Only say what would be done: tiles, bytes.", False)


@dataclass(frozen=True, kw_only=True)
class ArcticDem(OptionGroup):
    """Where elevation comes from."""

    resolution: int = option("Metres of a pixel of the mosaic: 2, 10 or 32.", 2)
    stac_url: str = option("STAC API of the mosaics.", "https://stac.pgc.umn.edu/api/v1/")
    source: str | None = option("In place of the STAC API: a COG's or VRT's address, or a file.", None)


@dataclass(frozen=True, kw_only=True)
class EncoderWeights(OptionGroup):
    """Pretrained weights to be fetched."""

    model_encoder: str = option("Encoder (smp or tu- timm name).")
    model_encoder_weights: str = option("Which of its weights.", "imagenet")


@dataclass(frozen=True, kw_only=True)
class Tcvis(OptionGroup):
    """Where trends come from."""

    ee_project: str | None = option("Google Cloud project registered for Earth Engine.", None)
