"""Options of networks put together, and of what is chosen after training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option

Criterion = Literal["iou", "f1"]


@dataclass(frozen=True, kw_only=True)
class Ensemble(OptionGroup):
    """Networks put together into one model file."""

    cv_dir: tuple[Path, ...] | None = option(
        "Cross-validation or search (its best) whose networks are put together (repeat).", None, commas=False
    )
    models: tuple[Path, ...] | None = option("Runs or model files instead (repeat).", None, commas=False)
    weights: tuple[str, ...] | None = option(
        "fitted (on out-of-fold pixels), equal, or one number per member; none: fitted where that can be.", None
    )
    votes: Literal["soft", "hard"] = option("Mean of probabilities, or share of decisions.", "soft")
    criterion: Criterion = option("What the threshold maximises.", "iou")
    train_data_dir: Path | None = option("Train data of the members; none: as their runs say.", None)
    out: Path = option("File to write.")
    name: str | None = option("Name of the model; none: that of the file.", None)
    device: str | None = option("auto, cpu, a CUDA index (0) or cuda:1.", "auto")
    overwrite: bool = option("Replace what is there.", False)


@dataclass(frozen=True, kw_only=True)
class Calibrate(OptionGroup):
    """Temperature and threshold of one trained model."""

    model: Path = option("Model file, run directory or cross-validation directory.")
    train_data_dir: Path | None = option("Train data; none: as the run says.", None)
    part: Literal["val", "all", "test"] = option(
        "Patches that are looked at: those that validated the run, or all of a set that the network never saw.", "val"
    )
    criterion: Criterion = option("What the threshold maximises.", "iou")
    out: Path = option("File to write.")
    device: str | None = option("auto, cpu, a CUDA index (0) or cuda:1.", "auto")
    overwrite: bool = option("Replace what is there.", False)
