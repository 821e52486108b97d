"""Options of a model in another program's format."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.options.fields import OptionGroup, option

ExportFormat = Literal["onnx", "onnx-fp16", "onnx-int8", "torch-export", "torchscript", "tensorrt"]
GraphInput = Literal["normalised", "values", "codes"]


@dataclass(frozen=True, kw_only=True)
class Export(OptionGroup):
    """A model file in another program's format."""

    model: Path = option("Model file, run directory or cross-validation directory.")
    out: Path = option("File to write.")
    format: ExportFormat = option("Format.", "onnx")
    opset: int = option("ONNX operator set.", 18, low=17)
    graph_input: GraphInput = option("What goes in: normalised, or values or codes, NaN where no data.", "normalised")
    graph_padding: bool = option("The graph pads to the network's stride and crops, so takes any size.", False)
    graph_activation: bool = option("The graph ends with sigmoid or softmax, so gives probabilities.", False)
    calibration_data: Path | None = option("int8: train data directory whose patches set the ranges.", None)
    calibration_patches: int = option("int8: patches that set the ranges, and as many to compare on.", 64, low=1)
    calibration_seed: int = option("int8: seed of the choice of patches.", 0, low=0)
    tensorrt_fp16: bool = option("tensorrt: half precision where it is faster.", True)
    tensorrt_batch: int = option("tensorrt: images that go in together, at most.", 4, low=1)
    tensorrt_side: int | None = option("tensorrt: greatest side of an image; none: patches alone.", None, low=1)
    docker_version: str = option("Version of NVIDIA's containers.", "24.12-py3")
    overwrite: bool = option("Replace what is there.", False)
