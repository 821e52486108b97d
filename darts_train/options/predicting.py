"""Options of maps: which scenes, in which windows, and what is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option
from darts_train.options.learning import Precision

Blend = Literal["linear", "hann", "bartlett-hann", "gaussian"]
Augmentation = Literal["none", "flips", "d4"]
Merge = Literal["mean", "max", "min", "gmean"]


@dataclass(frozen=True, kw_only=True)
class Predict(OptionGroup):
    """A model that maps scenes."""

    model: Path = option("Model file, run directory, or ONNX file.")
    device: str | None = option("auto, cpu, a CUDA index (0), cuda:1, or several (0,1): scenes in parallel.", "auto")
    precision: Precision = option(
        "Arithmetic of the network; auto: bf16 on CUDA devices that have it, else 32.", "auto"
    )
    dry_run: bool = option("Only say what would be done: windows, pixels, disk.", False)


@dataclass(frozen=True, kw_only=True)
class SceneFiles(OptionGroup):
    """Scenes that become maps, and what their files do not say."""

    input: tuple[Path, ...] = option(
        "Rasters, photos, PLANET or Sentinel-2 directories, folders of these, or lists of paths (@FILE, *.txt).",
        commas=False,
    )
    band_names: tuple[str, ...] | None = option("Names of the bands in the files; none: their descriptions.", None)
    scale: float | None = option("Value of one count of an integer image; none: as in training.", None, above=0)
    offset: float | None = option("Value of count 0 of an integer image; none: as in training.", None)
    nodata: float | None = option("Count that means no data; none: as the file says.", None)
    arcticdem_dir: str | None = option("Elevation: a raster, a folder of tiles, a zarr cube, an https address.", None)
    tcvis_dir: str | None = option("Trends of brightness, greenness, wetness: a raster or more, as elevation.", None)


@dataclass(frozen=True, kw_only=True)
class Windows(OptionGroup):
    """How a scene is cut into windows, and how they are joined."""

    window_size: int | None = option(
        "Side of a window, pixels; none: the patch size of training.", None, low=32, high=8192
    )
    window_overlap: int | None = option(
        "Pixels that windows share, or somewhat more, to start on the network's stride; none: by its measured reach.",
        None,
        low=0,
    )
    window_batch: int = option("Windows per step.", 4, low=1)
    blend: Blend = option("Curve along which the weight of a window rises from its border.", "linear")
    tta: Augmentation = option("Mean over mirror images (4 passes), or turns and mirror images (8).", "none")
    tta_merge: Merge = option("How probabilities of these are merged; gmean: geometric mean.", "mean")


@dataclass(frozen=True, kw_only=True)
class Maps(OptionGroup):
    """What is written of a scene."""

    out_dir: Path = option("Directory of the maps.")
    threshold: float | None = option(
        "Probability that makes a positive; none: as the model says.", None, above=0, high=1
    )
    polygons: tuple[Literal["gpkg", "geoparquet", "none"], ...] = option(
        "Files of polygons: GeoPackage, GeoParquet, or none.", ("gpkg",)
    )
    mask_values: Literal["0,1", "0,255"] = option("Values of the PNG of a photo: background, foreground.", "0,1")
    min_object_size: int = option("Drop polygons of fewer pixels.", 1, low=1)
    overwrite: bool = option("Replace maps that are there.", False)


@dataclass(frozen=True, kw_only=True)
class Devices(OptionGroup):
    """Who maps the scenes; the maps are the same."""

    workers: int | None = option("Processes; none: one per device.", None, low=1, high=1024)
    scheduler: str | None = option("Dask scheduler, tcp://HOST:PORT, whose workers see the same files.", None)


@dataclass(frozen=True, kw_only=True)
class Submission(OptionGroup):
    """All maps of a call in one tar, as competitions want them, and pictures to look at before."""

    submission: str | None = option("Name of a map in submission.tar, such as {scene}_kelp.tif; none: no tar.", None)
    submission_suffix: str = option("End of a scene's name that the tar leaves out, such as _satellite.", "")
    soft_labels: bool = option("Probabilities in the tar, not classes.", False)
    previews: int = option("Pictures of so many scenes in the directory previews.", 0, low=0)
