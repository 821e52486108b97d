"""The format `onnx`: one file, float32."""

from darts_train.export.description import describe
from darts_train.export.formats.protocol import Written
from darts_train.export.graphs.graph import graph_of
from darts_train.export.graphs.onnx import check_opset, set_metadata, to_onnx
from darts_train.models.model_file import LoadedModel
from darts_train.options.exporting import Export


class OnnxFile:
    """Writes one ONNX file, see `export/graphs/onnx.py`."""

    suffix = ".onnx"

    def __call__(self, model: LoadedModel, settings: Export) -> Written:
        """See `Writer`."""
        check_opset(settings.opset)
        graph = graph_of(model, settings)
        proto, difference, free = to_onnx(model, settings.opset, graph)
        set_metadata(proto, {**describe(model, difference, free), **graph.facts()})
        return Written(proto.SerializeToString(), difference, free, described=True)


write = OnnxFile()
