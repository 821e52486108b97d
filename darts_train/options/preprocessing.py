"""Options of the way from scenes to train data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.base.errors import UserError
from darts_train.options.fields import OptionGroup, option

_OVERLAP = 16  # pixels, where neither --overlap nor --stride says it

SATELLITE_BANDS = (
    "blue", "green", "red", "nir", "ndvi", "tc_brightness", "tc_greenness", "tc_wetness", "relative_elevation", "slope",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Output(OptionGroup):
    """The train data directory to be written, and how an earlier one is treated."""

    train_data_dir: Path = option("Train data directory to write; the same settings again add what is missing.")
    append: bool = option("Add to a set that is there; --no-append refuses.", True)
    overwrite: bool = option("Start the directory anew.", False)
    preprocess_cache: Path | None = option("Directory that keeps finished scenes for the next time.", None)
    force_preprocess: bool = option("Do not read the cache; write it anew.", False)
    dry_run: bool = option("Only say what would be done: scenes, patches, disk.", False)


@dataclass(frozen=True, kw_only=True)
class Parallel(OptionGroup):
    """Who does the work; the result is the same, byte for byte."""

    workers: int | None = option(
        "Processes; none: one per core, fewer where there is little to do.", None, low=1, high=1024
    )
    scheduler: str | None = option("Dask scheduler, tcp://HOST:PORT, whose workers see the same files.", None)


@dataclass(frozen=True, kw_only=True)
class Patches(OptionGroup):
    """How scenes are cut."""

    patch_size: int = option("Side of a patch, pixels.", 1024, low=2, high=16384, aliases=("--size",))
    overlap: int | None = option("Pixels that neighbours share; none: 16, or what --stride leaves.", None, low=0)
    stride: int | None = option("Pixels from a patch to the next; none: patch size less overlap.", None, low=1)
    edge: Literal["shift", "pad", "drop"] = option(
        "A patch beyond the edge: moved back, padded with no data, or left out.", "shift"
    )
    exclude_nopositive: bool = option("Drop patches without a foreground pixel.", False)
    exclude_nan: bool = option("Drop patches with any pixel without data.", True)
    small_images: Literal["pad", "skip"] = option("Images smaller than a patch: pad with no data, or leave out.", "pad")
    min_valid_fraction: float = option("Drop patches with a smaller share of labelled pixels.", 0.1, low=0, high=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "overlap", self._resolved())
        object.__setattr__(self, "stride", None)  # overlap says the same: one of the two is kept

    def _resolved(self) -> int:
        if self.stride is None:
            return _OVERLAP if self.overlap is None else self.overlap
        if self.stride > self.patch_size:
            raise UserError(f"--stride: {self.stride} is above --patch-size, {self.patch_size}: pixels would be lost.")
        left = self.patch_size - self.stride
        if self.overlap not in (None, left):
            raise UserError(
                f"--stride {self.stride} leaves an overlap of {left}, but --overlap is {self.overlap}; give one only."
            )
        return left

    @property
    def shared(self) -> int:
        """The overlap, pixels, however it was said."""
        return self.overlap or 0


@dataclass(frozen=True, kw_only=True)
class Terrain(OptionGroup):
    """Elevation and trends under the scenes, and the radii of the relative elevation (TPI), in metres."""

    arcticdem_dir: str | None = option("Elevation: a raster, a folder of tiles, a zarr cube, an https address.", None)
    tcvis_dir: str | None = option("Trends (brightness, greenness, wetness), given in the same ways.", None)
    tpi_outer_radius: float = option("Outer radius, m.", 100.0, above=0, high=10_000)
    tpi_inner_radius: float = option("Inner radius, m; 0: a disc.", 0.0, low=0)


@dataclass(frozen=True, kw_only=True)
class Labelling(OptionGroup):
    """What label polygons mean, and where the scenes lie."""

    classes: tuple[str, ...] = option("Names of the classes; the first is the background.", ("background", "positive"))
    image_id_column: str = option("Column that says to which image a polygon belongs.", "image_id")
    class_column: str | None = option("Column whose value is a class name; none: all polygons are class 1.", None)
    label_filter: str | None = option("Only polygons with COLUMN=VALUE, or COLUMN=VALUE|VALUE.", None)
    footprint_extent: bool = option("Outside its footprint a scene is unlabelled, not background.", True)
    admin_dir: Path | None = option("Vector file of regions, or a directory of one; none: No Region.", None)
    region_column: str | None = option("Name column of the regions; none: shapeName, or name.", None)


@dataclass(frozen=True, kw_only=True)
class Planet(OptionGroup, title="PLANET"):
    """PLANET scenes and their labels."""

    data_dir: Path = option("Root of the PSScene and PSOrthoTile folders.")
    labels_dir: Path = option("Label repository, or a vector file with an image_id column.")
    bands: tuple[str, ...] = option("Bands to store, in this order.", SATELLITE_BANDS)
    optical_range: str | None = option("Reflectance that becomes 0 and 1 for the network: v1, v2 or LO,HI.", None)
    mask_erosion_size: int = option("Radius by which the valid area is shrunk, pixels.", 10, low=0, high=1000)


@dataclass(frozen=True, kw_only=True)
class Sentinel2(OptionGroup, title="Sentinel-2"):
    """Sentinel-2 scenes and their labels."""

    sentinel2_dir: Path = option("Scene folders or SAFE products; with --stac-url the store of what was fetched.")
    labels_dir: Path | None = option("Label repository; none: a vector file in each scene's folder.", None)
    bands: tuple[str, ...] = option("Bands to store, in this order.", SATELLITE_BANDS)
    optical_range: str | None = option("Reflectance that becomes 0 and 1 for the network: v1, v2 or LO,HI.", None)
    mask_erosion_size: int = option("Radius by which the valid area is shrunk, pixels.", 10, low=0, high=1000)


@dataclass(frozen=True, kw_only=True)
class Stac(OptionGroup, title="STAC"):
    """Fetching the Sentinel-2 scene that fits each labelled footprint best, from a STAC API."""

    stac_url: str | None = option("Address of the API; none: only what is on the disk.", None)
    stac_collection: str = option("Collection of surface reflectance.", "sentinel-2-l2a")
    matching_day_range: int = option("Days before and after the label's image.", 7, low=0)
    matching_max_cloud_cover: float = option("Largest cloud cover, percent.", 10.0, low=0, high=100)
    matching_max_snow_cover: float = option("Largest snow cover, percent, where it is told.", 10.0, low=0, high=100)
    matching_min_intersects: float = option("Least share of the footprint that is covered.", 0.7, low=0, high=1)


@dataclass(frozen=True, kw_only=True)
class Raster(OptionGroup):
    """Pairs of an image and its labels (a raster, or polygons)."""

    table: Path | None = option("CSV or parquet with columns image, label and, if known, region, group, date.", None)
    image_dir: Path | None = option("Directory of images; each label has the same stem.", None)
    label_dir: Path | None = option("Directory of label rasters or polygon files.", None)
    bands: tuple[str, ...] | None = option("Bands to store, in this order; none: all of the images.", None)
    band_names: tuple[str, ...] | None = option("Names of the bands in the files; none: their descriptions.", None)
    scale: float | None = option(
        "Value of one count of an integer image; none: as the file says, else 1.", None, above=0
    )
    offset: float | None = option("Value of count 0 of an integer image; none: as the file says, else 0.", None)
    nodata: float | None = option("Count that means no data; none: as the file says.", None)
    classes: tuple[str, ...] = option("Names of the classes; the first is the background.", ("background", "positive"))
    remap: str | None = option("Label value to class index: '0:0,4:1,9:-100' (-100: ignore), or a list.", None)
    class_column: str | None = option("Polygons: column whose value is a class name; none: all are class 1.", None)
    optical_range: str | None = option("Reflectance that becomes 0 and 1 for the network: v1, v2 or LO,HI.", None)
    mask_erosion_size: int = option("Radius by which the valid area is shrunk, pixels.", 0, low=0, high=1000)


@dataclass(frozen=True, kw_only=True)
class Inspect(OptionGroup):
    """A train data directory to look at."""

    train_data_dir: Path = option("Train data directory.")
    json: bool = option("Print JSON.", False)


@dataclass(frozen=True, kw_only=True)
class Describe(OptionGroup):
    """What is described, and what else is made of it."""

    page: Path | None = option("HTML page to write, outside the train data directory; none: no page.", None)
    statistics_of: Literal["all", "train"] = option("Patches of the bands' numbers: all, or those that train.", "all")
    fold: int = option("Which fold validates.", 0, low=0)
    stats_file: Path | None = option(
        "File of the bands' numbers to write: .npz (hakai's channel_stats) or .json (also range, quantiles).", None
    )
    max_pixel_val: float = option("Numbers of the file are divided by this, such as 255.", 1.0, above=0)
    unit_bands: tuple[str, ...] | None = option(
        "Bands that a .json file has as mean 0, std 1, range 0 to 1, whatever they hold: QA,*WM.", None
    )
    overwrite: bool = option("Replace a --stats-file that is there.", False)
