"""The format `onnx-int8`: the network in 8 bits, and what it loses by it on patches that did not calibrate it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from darts_train.base.log import logger
from darts_train.export.description import describe
from darts_train.export.formats.onnx_half import require_free
from darts_train.export.formats.protocol import ExportError, Written
from darts_train.export.graphs.comparison import Logits
from darts_train.export.graphs.graph import Graph, graph_of
from darts_train.export.graphs.onnx import check_opset, runner, set_metadata, to_onnx
from darts_train.export.graphs.onnx_graph import surround
from darts_train.export.graphs.quantise import quantised
from darts_train.export.graphs.real_patches import RealPatches, open_patches
from darts_train.metrics.confusion import confusion_matrix, count_metrics
from darts_train.models.model_file import LoadedModel
from darts_train.options.exporting import Export

MUCH = 0.02  # of IoU: a loss that is worth a warning
_log = logger("export")


@dataclass(frozen=True)
class Loss:
    """What 8 bits lose: IoU of both with the labels, share of pixels with the same class, largest difference."""

    patches: int
    iou_float32: float
    iou_int8: float
    pixel_agreement: float
    difference: float

    @property
    def line(self) -> str:
        """In words."""
        return (
            f"int8 on {self.patches} patches: IoU {self.iou_int8:.4f}, float32 {self.iou_float32:.4f} "
            f"({self.iou_int8 - self.iou_float32:+.4f}); {self.pixel_agreement:.2%} of pixels agree"
        )


class OnnxInt8:
    """Writes one ONNX file in 8 bits."""

    suffix = ".onnx"

    def __call__(self, model: LoadedModel, settings: Export) -> Written:
        """See `Writer`. `max_difference` is that on the patches to compare on; other sizes are run for their shape."""
        check_opset(settings.opset)
        graph = graph_of(model, settings)
        patches = open_patches(model, settings)
        single, _, free = to_onnx(model, settings.opset, Graph(model))
        require_free(graph, free)
        small = quantised(single, len(patches.calibration), lambda i: patches.image(patches.calibration[i]))
        loss = loss_of(model, patches, runner(single), runner(small))
        surround(small, graph)
        if graph.difference(runner(small), graph.free_shapes() if free else graph.fixed_shapes()) == float("inf"):
            raise ExportError("the network in 8 bits does not run at all sizes; nothing was written.")
        facts = {"precision": "int8", "int8": _facts(patches, loss, settings)}
        set_metadata(small, {**describe(model, loss.difference, free), **graph.facts(), **facts})
        return Written(small.SerializeToString(), loss.difference, free, _notes(patches, loss), facts, described=True)


def loss_of(
    model: LoadedModel, patches: RealPatches, full: Callable[[Logits], Logits], small: Callable[[Logits], Logits]
) -> Loss:
    """What one network loses against the other on the patches to compare on; both map an image to logits."""
    classes, ignored = len(model.classes), patches.data.config.ignore_index
    matrices = torch.zeros((2, classes, classes), dtype=torch.int64)
    same = pixels = 0
    worst = largest = 0.0
    for image, y in patches.labelled():
        logits = [run(image) for run in (full, small)]
        worst = max(worst, float(np.abs(logits[0] - logits[1]).max()))
        largest = max(largest, float(np.abs(logits[0]).max()))
        decided = [_decided(patches.logits(found, y.shape[-1]), model.threshold) for found in logits]
        for matrix, found in zip(matrices, decided, strict=True):
            matrix += confusion_matrix(found, torch.from_numpy(y), classes, ignored)[0]
        same, pixels = same + int((decided[0] == decided[1]).sum()), pixels + y.size
    full_iou, small_iou = (count_metrics(matrix, model.classes)["JaccardIndex"] for matrix in matrices)
    return Loss(len(patches.comparison), full_iou, small_iou, same / pixels, worst / max(1.0, largest))


def _decided(logits: torch.Tensor, threshold: float) -> torch.Tensor:
    """Class index int64 [1, h, w]: above the threshold, or the most probable."""
    if logits.shape[1] > 1:
        return logits.argmax(dim=1)
    return (logits[:, 0].sigmoid() > threshold).long()


def _facts(patches: RealPatches, loss: Loss, settings: Export) -> dict[str, Any]:
    return {
        "calibration_patches": len(patches.calibration),
        "calibration_seed": settings.calibration_seed,
        "calibration_data_hash": patches.data.data_hash,
        "compared_patches": loss.patches,
        "compared_on": "validation" if patches.split else "any",
        "iou_float32": loss.iou_float32,
        "iou_int8": loss.iou_int8,
        "iou_loss": loss.iou_float32 - loss.iou_int8,
        "pixel_agreement": loss.pixel_agreement,
    }


def _notes(patches: RealPatches, loss: Loss) -> tuple[str, ...]:
    if loss.iou_float32 - loss.iou_int8 > MUCH:
        _log.warning("8 bits cost %.3f of IoU; use --format onnx-fp16 or onnx.", loss.iou_float32 - loss.iou_int8)
    whose = "validation patches" if patches.split else "patches of which it is not known what they were in training"
    return (loss.line, f"calibrated on {len(patches.calibration)} patches, compared on others: {whose}")


write = OnnxInt8()
