"""Options of the way from a checkpoint to a map."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option

ExportFormat = Literal["onnx"]


@dataclass(frozen=True, kw_only=True)
class Convert(OptionGroup):
    """A Lightning checkpoint that becomes a model file."""

    lightning_checkpoint: Path = option("Checkpoint of a run, such as checkpoints/best.ckpt.")
    out_directory: Path = option("Directory of the model file.")
    checkpoint_name: str = option("Name of the model; the file is NAME_DATE.ckpt.")
    framework: Literal["smp"] = option("Framework of the network.", "smp")


@dataclass(frozen=True, kw_only=True)
class Export(OptionGroup):
    """A model file in another program's format."""

    model: Path = option("Model file, run directory or cross-validation directory.")
    out: Path = option("File to write.")
    format: ExportFormat = option("Format.", "onnx")
    opset: int = option("ONNX operator set.", 18, low=17)
    overwrite: bool = option("Replace what is there.", False)


@dataclass(frozen=True, kw_only=True)
class Predict(OptionGroup):
    """Scenes that become maps."""

    model: Path = option("Model file, run directory, or ONNX file.")
    input: tuple[Path, ...] = option("Scene rasters, or PLANET scene directories.", commas=False)
    out_dir: Path = option("Directory of the maps.")
    band_names: tuple[str, ...] | None = option("Names of the bands in the files; none: their descriptions.", None)
    scale: float | None = option("Value of one count of an integer image; none: as in training.", None, above=0)
    offset: float | None = option("Value of count 0 of an integer image; none: as in training.", None)
    nodata: float | None = option("Count that means no data; none: as the file says.", None)
    arcticdem_dir: str | None = option("Elevation: a raster, a folder of tiles, a zarr cube, an https address.", None)
    tcvis_dir: str | None = option("Trends of brightness, greenness, wetness: a raster or more, as elevation.", None)
    window_size: int | None = option(
        "Side of a window, pixels; none: the patch size of training.", None, low=32, high=8192
    )
    window_overlap: int | None = option("Pixels that windows share; none: a quarter of the window.", None, low=0)
    window_batch: int = option("Windows per step.", 4, low=1)
    threshold: float | None = option(
        "Probability that makes a positive; none: as the model says.", None, above=0, high=1
    )
    min_object_size: int = option("Drop polygons of fewer pixels.", 1, low=1)
    device: str | None = option("auto, cpu, a CUDA index (0) or cuda:1.", "auto")
    overwrite: bool = option("Replace maps that are there.", False)
    dry_run: bool = option("Only say what would be done: windows, pixels, disk.", False)
