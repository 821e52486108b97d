"""Options of a model in another program's format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option

ExportFormat = Literal["onnx"]


@dataclass(frozen=True, kw_only=True)
class Export(OptionGroup):
    """A model file in another program's format."""

    model: Path = option("Model file, run directory or cross-validation directory.")
    out: Path = option("File to write.")
    format: ExportFormat = option("Format.", "onnx")
    opset: int = option("ONNX operator set.", 18, low=17)
    overwrite: bool = option("Replace what is there.", False)
