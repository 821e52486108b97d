"""What habitat-mapper and Deepness have in common: a graph that takes a raster's counts.

The graph normalises, knows no data, and pads to the network's stride where the network takes other sizes at all.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from darts_train.export.formats.protocol import Written
from darts_train.export.formats.torch_modules import takes_free_sizes
from darts_train.export.graphs.comparison import Logits, Shape
from darts_train.export.graphs.graph import Graph
from darts_train.export.sidecars import dress
from darts_train.export.sidecars.counts import Counts, counts_of, in_counts, require_counts
from darts_train.models.model_file import LoadedModel
from darts_train.options.exporting import Export
from darts_train.options.sidecars import Sidecars


class RasterGraph:
    """A graph for `count · factor`. `shift` [k] is taken off the logits, or off nothing where it is 0."""

    def __init__(
        self, model: LoadedModel, export: Export, options: Sidecars, option: str, factor: float, shift: Logits
    ) -> None:
        require_counts(model, option)
        self.counts: Counts = counts_of(model, options)
        self.factor, self.shift = factor, shift
        self.units = model.spec.to_config()  # of the bands, which metadata keep
        self.model = in_counts(model, self.counts, factor)
        self.free = takes_free_sizes(Graph(self.model))
        self.settings = replace(export, graph_input="values", graph_padding=self.free)

    def dressed(self, written: Written, facts: dict[str, Any], size: int | None = None) -> Written:
        """The file with no data known, the threshold moved, and metadata; of one side, where one is given.

        Raises ExportError where it then says something else.
        """
        bare = onnx.load_from_string(written.data)
        proto = onnx.load_from_string(written.data)
        dress.add_gaps(proto, self.counts, self.factor)
        dress.add_shift(proto, self.shift)
        image = self.sample((1, size or self.model.side, size or self.model.side))
        dress.require_same(bare, proto, image, self.counts, self.shift, self.factor)
        if size is not None:
            dress.fix_size(proto, size)
        sizes = {} if size is None else {"free_sizes": False}
        dress.add_facts(proto, {**self.units, **sizes, "graph_input": "counts", "graph_nodata": self._gaps(), **facts})
        onnx.checker.check_model(proto)
        return replace(written, data=proto.SerializeToString())

    def _gaps(self) -> Any:
        """For people: what the graph takes for no data."""
        return {"count": self.counts.nodata, "all_bands_zero": self.counts.zero_is_nodata}

    def sample(self, shape: Shape) -> Logits:
        """An image float32 [n, c, h, w] of counts as the program hands them over, with no data where there may be."""
        batch, height, width = shape
        random = np.random.default_rng(0)
        low, high = (
            np.array([getattr(band, end) for band in self.model.spec.bands])[:, None, None] for end in ("low", "high")
        )
        image = low + (random.random((batch, len(low), height, width)) * 1.2 - 0.1) * (high - low)
        if self.counts.nodata is not None:
            image[:, 0, : height // 4] = self.counts.nodata * self.factor
        if self.counts.zero_is_nodata:
            image[..., : width // 4] = 0
        return np.asarray(image, np.float32)
