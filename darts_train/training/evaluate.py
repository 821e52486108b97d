"""A network over a part of a set, once: all metrics, and the counts of every patch for whoever groups them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from darts_train.base.progress import track
from darts_train.metrics.confusion import confusion_matrix, count_metrics
from darts_train.metrics.state import SegmentationMetrics
from darts_train.models.input_spec import InputLayer
from darts_train.training.losses_common import Loss
from darts_train.training.patches import Batch


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a pass over a part gave.

    Attributes:
        counts: the final state (histogram for two classes, confusion matrix for more), on the CPU.
        per_patch: int64 [n, k, k] confusion matrix of every patch at a threshold of 0.5, in the loader's order.
        rows: int64 [n], the rows of the set.
    """

    counts: SegmentationMetrics
    per_patch: Tensor
    rows: Tensor

    def by_group(self, names: Sequence[str]) -> dict[str, dict[str, float]]:
        """Metrics of each group of patches (`names[i]` is the group of patch i), sorted by name.

        Pixels are pooled, so a group's IoU is that of one large image. See `metrics.confusion` for what has no support.
        """
        found = {}
        for name in sorted(set(names)):
            members = torch.tensor([other == name for other in names])
            matrix = self.per_patch[members].sum(0)
            metrics = count_metrics(matrix, self.counts.classes)
            wanted = ("JaccardIndex", "F1Score", "Precision", "Recall", "Accuracy")
            positives = float(matrix[1:].sum())
            found[name] = {"patches": int(members.sum()), "positive_pixels": positives} | {
                k: metrics[k] for k in wanted
            }
        return found


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
    counts = SegmentationMetrics(classes, ignore_index, device)
    matrices, rows = [], []
    with torch.inference_mode():
        for batch in track(loader, "testing", len(loader)):
            y = batch["y"].to(device)
            logits = network(layer(batch["x"].to(device))).float()
            counts.update(logits, y, loss.total(logits, y)[0])
            predicted = (logits[:, 0].sigmoid() > 0.5).long() if counts.binary else logits.argmax(1)
            matrices.append(confusion_matrix(predicted, y, len(classes), ignore_index).cpu())
            rows.append(batch["index"])
    return Evaluation(counts, torch.cat(matrices), torch.cat(rows))
