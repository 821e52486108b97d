"""What every loss but the focal one has in common: ignored pixels are masked before anything is computed.

Logits of ignored pixels become 0 by a `where`, whose gradient there is exactly 0 whatever the logits were, infinities
and NaN among them; the formula then leaves the pixels out. Shapes stay as they are, so that nothing waits for a CUDA
device. Computed in float32, also under mixed precision.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

EPS = 1e-7  # least denominator of a ratio of pixel counts, as in segmentation-models-pytorch


class Loss(Protocol):
    """What training, validation and test ask of a loss."""

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of a batch, float32 scalar, 0 where no pixel is valid."""

    def total(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The loss times the number of valid pixels, and that number: what a pass over many batches adds up."""


class BatchLoss(ABC):
    """A loss of `classes` classes (2: one logit) on the valid pixels of a batch.

    Args:
        classes: Number of classes, background included.
        ignore_index: Value of the target that counts nowhere.
        weights: One weight per class, background first; None weights all the same.
    """

    def __init__(self, classes: int, ignore_index: int, weights: Sequence[float] | None = None) -> None:
        self.classes = classes
        self.binary = classes == 2
        self.ignore_index = ignore_index
        self.weights = None if weights is None else torch.tensor(weights, dtype=torch.float32)

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of float logits [n, 1 or classes, h, w] and integer target [n, h, w]; 0 with a gradient of 0 for none.

        NaN logits of valid pixels give NaN; those of ignored pixels do not count.
        """
        valid = target != self.ignore_index
        label = torch.where(valid, target, 0).long()
        loss = self.of_valid(torch.where(valid[:, None], logits.float(), 0.0), label, valid)
        return loss * valid.any()

    def total(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The loss times the valid pixels (float32 scalar), and their number (int64 scalar)."""
        pixels = (target != self.ignore_index).sum()
        return self(logits, target) * pixels, pixels

    @abstractmethod
    def of_valid(self, logits: Tensor, label: Tensor, valid: Tensor) -> Tensor:
        """The loss, from float32 logits, int64 labels and a bool mask [n, h, w]; finite without any valid pixel."""

    def weights_on(self, device: torch.device) -> Tensor:
        """float32 [classes] class weights on `device`; moved once."""
        assert self.weights is not None
        self.weights = self.weights.to(device)
        return self.weights

    def probabilities(self, logits: Tensor) -> Tensor:
        """Sigmoid of the one logit [n, 1, h, w], or softmax over classes [n, classes, h, w]."""
        return logits.sigmoid() if self.binary else logits.softmax(1)

    def truth(self, label: Tensor, valid: Tensor) -> Tensor:
        """Bools like `probabilities`: which class a valid pixel has; the positive one alone for two classes."""
        if self.binary:
            return ((label > 0) & valid)[:, None]
        every = torch.arange(self.classes, device=label.device).view(1, -1, 1, 1)
        return (label[:, None] == every) & valid[:, None]


def mean_over(values: Tensor, weights: Tensor) -> Tensor:
    """Mean of `values` weighted with `weights` (both of one shape), 0 where these are all 0."""
    return (values * weights).sum() / weights.sum().clamp_min(EPS)
