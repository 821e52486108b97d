"""The Lovász losses: convex surrogates of the Jaccard index (Berman et al. 2018, https://arxiv.org/abs/1705.08790).

Two classes: the hinge form on the logit. More: the softmax form, mean over the classes that are in the batch. Both
over all pixels of a batch together, as LovaszLoss of segmentation-models-pytorch does.
"""

import torch
from torch import Tensor

from darts_train.training.losses.common import BatchLoss


class Lovasz(BatchLoss):
    """Lovász hinge or Lovász softmax."""

    def of_valid(self, logits: Tensor, label: Tensor, valid: Tensor) -> Tensor:
        """Sorted by error with ignored pixels last, where they change nothing for those before them."""
        truth = self.truth(label, valid)
        if self.binary:
            errors = 1 - torch.where(truth, logits, -logits)
            return _of_class(errors[:, 0], truth[:, 0], valid)
        errors = (truth.float() - logits.softmax(1)).abs()
        losses = torch.stack([_of_class(errors[:, k], truth[:, k], valid) for k in range(self.classes)])
        present = truth.any(3).any(2).any(0).float()
        return (losses * present).sum() / present.sum().clamp_min(1.0)


def _of_class(errors: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Σ of the positive errors, largest first, times what each adds to the Jaccard loss; all [n, h, w]."""
    keys = torch.where(valid, errors, -torch.inf).flatten()
    ordered, order = torch.sort(keys, descending=True)
    return (ordered.relu() * _jaccard_steps(truth.flatten()[order])).sum()


def _jaccard_steps(truth: Tensor) -> Tensor:
    """By how much the Jaccard loss grows with each pixel taken for wrong, in the given order; bool [p] → float32 [p].

    Counted in whole numbers: float32 is not exact beyond 2²⁴ pixels.
    """
    positives = truth.sum()
    taken = truth.long().cumsum(0)
    places = torch.arange(1, len(truth) + 1, device=truth.device)
    loss = 1 - (positives - taken).float() / (positives + places - taken).float()
    return torch.cat([loss[:1], loss[1:] - loss[:-1]])
