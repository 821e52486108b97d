"""A network over a part of a set, once: all metrics, and the counts of every patch for whoever groups them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torch.utils.data import DataLoader

from darts_train.base.progress import track
from darts_train.metrics.confusion import confusion_matrix
from darts_train.metrics.groups import Groups, add_up
from darts_train.metrics.object_state import ObjectMetrics
from darts_train.metrics.state import SegmentationMetrics
from darts_train.models.input_spec import InputLayer
from darts_train.training.loading.patches import Batch
from darts_train.training.losses.common import Loss


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a pass over a part gave.

    Attributes:
        counts: the final state (histograms, and a confusion matrix for several classes), on the device.
        objects: the final state of objects and outlines.
        per_patch: int64 [n, k, k] confusion matrix of every patch at a threshold of 0.5, in the loader's order.
        objects_per_patch: int64 [n, k - 1, 3], objects found, made up and missed of every patch and foreground class.
        rows: int64 [n], the rows of the set.
        losses: float64 [n], cross-entropy of every patch, the mean over its labelled pixels; NaN without any.
    """

    counts: SegmentationMetrics
    objects: ObjectMetrics
    per_patch: Tensor
    objects_per_patch: NDArray[np.int64]
    rows: Tensor
    losses: Tensor

    def metrics(self, prefix: str = "") -> dict[str, float]:
        """All metrics, of pixels and of objects, names beginning with `prefix`."""
        return self.counts.compute(prefix) | self.objects.compute(prefix)

    def by_group(self, names: Sequence[str]) -> Groups:
        """Counts of each group of patches (`names[i]` is the group of patch i), sorted by name."""
        return add_up(names, self.per_patch.numpy(), self.objects_per_patch)


def evaluate(
    network: nn.Module,
    layer: InputLayer,
    loader: DataLoader[Batch],
    classes: Sequence[str],
    ignore_index: int,
    loss: Loss,
    device: torch.device,
) -> Evaluation:
    """Run `network` (moved to `device`, in eval mode, float32) over all batches of `loader`."""
    network.to(device).eval()
    layer.to(device)
    counts, objects = SegmentationMetrics(classes, ignore_index, device), ObjectMetrics(classes, ignore_index)
    matrices, found, rows, losses = [], [], [], []
    with torch.inference_mode():
        for batch in track(loader, "testing", len(loader)):
            y = batch["y"].to(device)
            logits = network(layer(batch["x"].to(device))).float()
            counts.update(logits, y, loss.total(logits, y)[0])
            probability, predicted = _decided(logits)
            matrices.append(confusion_matrix(predicted, y, len(classes), ignore_index).cpu())
            found.append(objects.update(probability.cpu().numpy(), predicted.cpu().numpy(), batch["y"].numpy()))
            rows.append(batch["index"])
            losses.append(patch_losses(logits, y, ignore_index).cpu())
    return Evaluation(counts, objects, torch.cat(matrices), np.concatenate(found), torch.cat(rows), torch.cat(losses))


def patch_losses(logits: Tensor, y: Tensor, ignore_index: int) -> Tensor:
    """Cross-entropy of each patch, float64 [n]: the mean over its labelled pixels, NaN where it has none.

    Args:
        logits: float [n, 1 or classes, h, w].
        y: class indices [n, h, w].
        ignore_index: the index that counts nowhere.
    """
    labelled = y != ignore_index
    label = torch.where(labelled, y, 0).long()
    if logits.shape[1] == 1:
        each = binary_cross_entropy_with_logits(logits[:, 0], (label > 0).to(logits.dtype), reduction="none")
    else:
        each = cross_entropy(logits, label, reduction="none")
    total = torch.where(labelled, each, 0).double().sum(dim=(1, 2))
    return total / labelled.sum(dim=(1, 2))


def _decided(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities of the foreground classes [n, k - 1, h, w], and class indices [n, h, w], of logits."""
    if logits.shape[1] == 1:
        probability = logits.sigmoid()
        return probability, (probability[:, 0] > 0.5).long()
    return logits.softmax(1)[:, 1:], logits.argmax(1)
