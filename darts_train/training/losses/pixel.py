"""Losses of single pixels, averaged over valid ones: cross entropy in three forms."""

import torch
import torch.nn.functional as F
from torch import Tensor

from darts_train.training.losses.common import BatchLoss, mean_over


class BinaryCrossEntropy(BatchLoss):
    """Cross entropy of two classes; positives count `pos_weight` times. As torch's BCEWithLogitsLoss."""

    def __init__(self, classes: int, ignore_index: int, pos_weight: float = 1.0) -> None:
        super().__init__(classes, ignore_index)
        self.pos_weight = torch.tensor(pos_weight, dtype=torch.float32)

    def of_valid(self, logits: Tensor, label: Tensor, valid: Tensor) -> Tensor:
        """Mean over valid pixels; the weights do not enter the divisor."""
        self.pos_weight = self.pos_weight.to(logits.device)
        truth = (label > 0).float()
        values = F.binary_cross_entropy_with_logits(logits[:, 0], truth, reduction="none", pos_weight=self.pos_weight)
        return mean_over(values, valid.float())


class CrossEntropy(BatchLoss):
    """Cross entropy with class weights; the weights are the divisor, as in torch's CrossEntropyLoss."""

    def of_valid(self, logits: Tensor, label: Tensor, valid: Tensor) -> Tensor:
        """Weighted mean over valid pixels."""
        if self.binary:
            label = (label > 0).long()
            values = F.binary_cross_entropy_with_logits(logits[:, 0], label.float(), reduction="none")
        else:
            values = F.cross_entropy(logits, label, reduction="none")
        weights = valid.float()
        if self.weights is not None:
            weights = weights * self.weights_on(logits.device)[label]
        return mean_over(values, weights)


class SoftCrossEntropy(BatchLoss):
    """Cross entropy against smoothed labels: (1 - s) on the true class, and s spread evenly over all classes.

    Szegedy et al. 2016 (https://arxiv.org/abs/1512.00567), as torch's `label_smoothing`. Two classes: the target is
    t·(1 - s) + s/2, which is the same.
    """

    def __init__(self, classes: int, ignore_index: int, smoothing: float = 0.1) -> None:
        super().__init__(classes, ignore_index)
        self.smoothing = smoothing

    def of_valid(self, logits: Tensor, label: Tensor, valid: Tensor) -> Tensor:
        """Mean over valid pixels."""
        if self.binary:
            soft = (label > 0).float() * (1 - self.smoothing) + self.smoothing / 2
            values = F.binary_cross_entropy_with_logits(logits[:, 0], soft, reduction="none")
        else:
            values = F.cross_entropy(logits, label, reduction="none", label_smoothing=self.smoothing)
        return mean_over(values, valid.float())
