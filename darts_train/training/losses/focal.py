"""The focal loss (Lin et al. 2017, https://arxiv.org/abs/1708.02002) on logits, ignored pixels masked first.

Two classes, one logit: `alpha` weights positives and 1 - alpha negatives, as FocalLoss of segmentation-models-pytorch
does. More classes: the softmax form, -(1 - p)^γ · log p of the true class, because inference takes a softmax too;
`alpha` then weights the foreground classes and 1 - alpha the background, so that two classes give the same number
either way. The mean is over valid pixels; a batch without any gives a zero that still has a gradient (of zero).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

CERTAIN = 200.0  # exp(-200) is 0 in float32, so this logit has no loss and no gradient
NO_CLASS = -100


class FocalLoss:
    """Focal loss of `classes` classes; made once, called with every batch.

    Args:
        classes: Number of classes, background included; 2 means one logit.
        alpha: Weight of positives in [0, 1]; None weights nothing.
        gamma: Focus on hard pixels; 0 is cross entropy.
        ignore_index: Value of the target that counts nowhere.
    """

    def __init__(self, classes: int, alpha: float | None, gamma: float, ignore_index: int) -> None:
        self.binary = classes == 2
        self.alpha = alpha
        self.gamma = gamma
        self.ignore_index = ignore_index

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Mean loss over valid pixels, float32 scalar. See `total` for the shapes."""
        total, pixels = self.total(logits, target)
        return total / pixels.clamp(min=1)

    def total(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Sum of losses over valid pixels (float32 scalar) and their number (int64 scalar).

        `logits` is float [n, 1 or classes, h, w] of any precision, `target` integer [n, h, w]. NaN logits of valid
        pixels give NaN; those of ignored pixels do not count.
        """
        ignored = target == self.ignore_index
        label = target.long().masked_fill(ignored, NO_CLASS)
        cross_entropy = self._cross_entropy(logits.float(), label, ignored)
        loss = _focus(cross_entropy, self.gamma) * cross_entropy
        if self.alpha is not None:
            loss = loss * torch.where(label > 0, self.alpha, 1.0 - self.alpha)
        return loss.sum(), (~ignored).sum()

    def _cross_entropy(self, logits: Tensor, label: Tensor, ignored: Tensor) -> Tensor:
        """Cross entropy [n, h, w], 0 where ignored.

        Masked before anything is computed: an infinite logit must not bring NaN into the gradient. One mask is enough,
        since certain background costs nothing, and torch leaves out what is of no class.
        """
        if self.binary:
            certain = logits[:, 0].masked_fill(ignored, -CERTAIN)
            return F.binary_cross_entropy_with_logits(certain, (label > 0).float(), reduction="none")
        finite = logits.masked_fill(ignored[:, None], 0.0)
        return F.cross_entropy(finite, label, reduction="none", ignore_index=NO_CLASS)


def _focus(cross_entropy: Tensor, gamma: float) -> Tensor:
    """(1 - p)^γ from -log p, exact for p near 1; the floor keeps the derivative finite for γ < 1."""
    missed = -torch.expm1(-cross_entropy)
    return missed.clamp_min(torch.finfo(missed.dtype).tiny) ** gamma
