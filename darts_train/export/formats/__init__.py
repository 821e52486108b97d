"""The formats of export-model. Each has a module with `write`, a `Writer`, imported when it is asked for.

A program that exports to one format imports nothing of the others.
"""

from importlib import import_module

from darts_train.export.formats.protocol import Writer
from darts_train.options.exporting import ExportFormat

FORMATS: dict[ExportFormat, str] = {
    "onnx": "onnx_file",
    "onnx-fp16": "onnx_half",
    "onnx-int8": "onnx_int8",
    "torch-export": "torch_export",
    "torchscript": "torchscript",
    "tensorrt": "tensorrt",
}


def writer_of(name: ExportFormat) -> Writer:
    """What writes the format `name`."""
    found: Writer = import_module(f"{__name__}.{FORMATS[name]}").write
    return found
