"""Deepness, the QGIS plugin: ONNX whose metadata fill in its form.

What it does (read in several versions of its sources): it takes square tiles of one side, which must stand in the
graph; divides counts by 255 and, where metadata say so, standardises them; sets what is below the threshold to 0 and
takes the greatest channel, or what is not 0 where there is one channel. So the graph takes counts / 255, does all
else itself and gives probabilities: one channel for two classes, which keeps a threshold below 0.5 a threshold.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.export.formats.protocol import Written
from darts_train.export.sidecars.raster_graph import RasterGraph
from darts_train.models.model_file import LoadedModel
from darts_train.options.exporting import Export
from darts_train.options.sidecars import Sidecars

DIVISOR = 255.0  # of all counts, whatever their type
_log = logger("export")


class Deepness(RasterGraph):
    """An export for Deepness."""

    def __init__(self, model: LoadedModel, export: Export, options: Sidecars) -> None:
        if options.deepness_resolution is None:
            raise UserError("--deepness: say the centimetres of a pixel with --deepness-resolution, such as 300.")
        channels = 1 if len(model.classes) == 2 else len(model.classes)
        super().__init__(model, export, options, "--deepness", 1 / DIVISOR, np.zeros(channels, np.float32))
        self.settings = replace(self.settings, graph_activation=True)
        self.size = options.tiles_size or model.patch_size
        if not self.free and self.size != model.side:
            raise UserError(f"--tiles-size: {model.arch} with {model.encoder} takes {model.side} pixels alone.")
        self.facts = metadata(model, options, self.size)

    def dress(self, written: Written) -> Written:
        """See `Sidecar`."""
        return self.dressed(written, {"sidecar": "deepness", **self.facts}, self.size)

    def write(self) -> tuple[str, ...]:
        """Nothing beside the file."""
        threshold = self.model.threshold
        if len(self.model.classes) == 2 and abs(threshold - round(threshold, 2)) > 1e-9:
            _log.warning(
                "the form in QGIS has two decimals: the threshold %g becomes %.2f there.", threshold, threshold
            )
        return (f"for Deepness: tiles of {self.size} pixels of {self.facts['resolution']:g} cm",)


def metadata(model: LoadedModel, options: Sidecars, size: int) -> dict[str, Any]:
    """What Deepness reads of a file, plain values; each is written as JSON.

    The plugin's text calls the side of a tile `tiles_size`, its code reads `tile_size`: both are said. Standardising
    with 0 and 1 is nothing, as without them. A threshold of 0 is none: of several classes the most probable is taken.
    """
    bands = len(model.spec.bands)
    return {
        "model_type": "Segmentor",
        "class_names": {str(i): name for i, name in enumerate(model.classes)},
        "resolution": options.deepness_resolution,
        "tile_size": size,
        "tiles_size": size,
        "tiles_overlap": options.deepness_overlap,
        "standardization_mean": [0.0] * bands,
        "standardization_std": [1.0] * bands,
        "seg_thresh": model.threshold if len(model.classes) == 2 else 0.0,
    }
