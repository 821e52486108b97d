"""Losses of whole regions: how far the predicted and the true area overlap, summed over all valid pixels of a batch.

With probabilities p and truth t of one class, I = Σpt, P = Σp and T = Σt:

    Dice        (2I + 2s) / (P + T + 2s)
    Jaccard     (I + s) / (P + T - I + s)
    Tversky     (I + s) / (I + α(P - I) + β(T - I) + s)      α for false positives, β for missed pixels

The loss is 1 - score. As in segmentation-models-pytorch 0.5, one of two classes is scored, the positive one, and all
of more; a class without a true pixel in the batch has no score and adds 0 to the mean. With class weights the mean is
weighted.
"""

import torch
from torch import Tensor

from darts_train.training.losses.common import EPS, BatchLoss

LEAST_SHARE = 1e-12  # a spread of shares below it is none


class RegionLoss(BatchLoss):
    """1 - Tversky index, mean over classes; `score` makes it another one's."""

    def __init__(
        self,
        classes: int,
        ignore_index: int,
        weights: list[float] | None = None,
        *,
        alpha: float = 0.5,
        beta: float = 0.5,
        smooth: float = 0.0,
    ) -> None:
        super().__init__(classes, ignore_index, weights)
        self.alpha, self.beta, self.smooth = alpha, beta, smooth

    def of_valid(self, logits: Tensor, label: Tensor, valid: Tensor) -> Tensor:
        """Mean over classes of the loss of each."""
        p, truth = self.probabilities(logits), self.truth(label, valid)
        both = torch.where(truth, p, 0.0).sum((0, 2, 3))
        predicted = torch.where(valid[:, None], p, 0.0).sum((0, 2, 3))
        true = truth.sum((0, 2, 3)).float()
        losses = torch.where(true > 0, self.of_class(1 - self.score(both, predicted, true)), 0.0 * both)
        return self.joined(losses)

    def score(self, both: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        """The index of each class, from the sums I, P and T [classes scored]."""
        wrong = self.alpha * (predicted - both) + self.beta * (true - both)
        return (both + self.smooth) / (both + wrong + self.smooth).clamp_min(EPS)

    def of_class(self, loss: Tensor) -> Tensor:
        """What becomes of the loss of each class before the mean."""
        return loss

    def joined(self, losses: Tensor) -> Tensor:
        """The mean over classes."""
        if self.weights is None or self.binary:
            return losses.mean()
        weights = self.weights_on(losses.device)
        return (losses * weights).sum() / weights.sum()


class Dice(RegionLoss):
    """1 - Dice coefficient (Milletari et al. 2016, https://arxiv.org/abs/1606.04797, without their squares).

    It is the Tversky index with halves for α and β.
    """


class Jaccard(RegionLoss):
    """1 - intersection over union."""

    def score(self, both: Tensor, predicted: Tensor, true: Tensor) -> Tensor:
        """(I + s) / (P + T - I + s)."""
        return (both + self.smooth) / (predicted + true - both + self.smooth).clamp_min(EPS)


class FocalTversky(RegionLoss):
    """(1 - Tversky index)^γ (Abraham and Khan 2018, https://arxiv.org/abs/1810.07842, whose exponent is 1/γ)."""

    def __init__(
        self,
        classes: int,
        ignore_index: int,
        weights: list[float] | None = None,
        *,
        alpha: float = 0.3,
        beta: float = 0.7,
        gamma: float = 0.75,
        smooth: float = 0.0,
    ) -> None:
        super().__init__(classes, ignore_index, weights, alpha=alpha, beta=beta, smooth=smooth)
        self.gamma = gamma

    def of_class(self, loss: Tensor) -> Tensor:
        """The power; the floor keeps its derivative finite for γ < 1."""
        return loss.clamp_min(EPS) ** self.gamma


class LogCoshDice(Dice):
    """log cosh of the Dice loss (Jadon 2020, https://arxiv.org/abs/2006.14822): flat where little is left to gain."""

    def joined(self, losses: Tensor) -> Tensor:
        """log(cosh(mean))."""
        return torch.cosh(super().joined(losses)).log()


class MatthewsCorrelation(BatchLoss):
    """1 - correlation of prediction and truth over all classes (Gorodkin 2004, R_K; Matthews' for two classes).

    From the soft confusion matrix, as shares of the valid pixels: with c = Σ_k p_k t_k over its diagonal and its sums
    P_k and T_k, (c - ΣPT) / √((1 - ΣP²)(1 - ΣT²)). A batch with one class alone has no correlation, so a loss of 1.
    """

    def of_valid(self, logits: Tensor, label: Tensor, valid: Tensor) -> Tensor:
        """One number for the batch."""
        p, truth = self.probabilities(logits), self.truth(label, valid)
        if self.binary:
            p, truth = torch.cat([1 - p, p], 1), torch.cat([~truth & valid[:, None], truth], 1)
        pixels = valid.sum().clamp(min=1)
        # In float64 from here on: a handful of positives among millions of pixels is a difference of squares near 1.
        right = torch.where(truth, p, 0.0).sum().double() / pixels
        predicted = torch.where(valid[:, None], p, 0.0).sum((0, 2, 3)).double() / pixels
        true = truth.sum((0, 2, 3)).double() / pixels
        spreads = [(shares * (1 - shares)).sum() for shares in (predicted, true)]
        spread = spreads[0].clamp_min(LEAST_SHARE) * spreads[1].clamp_min(LEAST_SHARE)
        correlation = (right - (predicted * true).sum()) / spread.sqrt()
        return (1 - torch.where(spreads[1] > LEAST_SHARE, correlation, 0.0 * right)).float()
