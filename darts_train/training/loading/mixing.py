"""Patches of a batch mixed with each other, after their own augmentation: MixUp and CutMix.

MixUp (Zhang et al. 2018, https://arxiv.org/abs/1710.09412): x = λ·a + (1 - λ)·b, and the loss is λ times that of a's
labels plus 1 - λ times that of b's, on the same logits. One λ ~ Beta(α, α) for the whole batch, as in the authors'
code: many losses (Dice, Lovasz) look at a batch as a whole, so a λ of each patch could not weigh them. The larger share
is always a's. Nothing is lost by that: partners come from a permutation, and λ with it is the same batch as 1 - λ with
its inverse.

CutMix (Yun et al. 2019, https://arxiv.org/abs/1905.04899): a rectangle of the partner, labels and all, in place of
one's own, λ ~ Beta(α, α) of each patch. Its sides are √(1 - λ) of the patch's; unlike theirs it lies wholly inside, so
that its area is 1 - λ. Labels being per pixel, the loss stays as it is.

No data must come as NaN. It is cut and pasted as it is; mixed with anything it stays no data.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from darts_train.base.errors import UserError
from darts_train.options.learning import Hyperparameters
from darts_train.training.losses.common import Loss

CHANCE = 0.5  # of MixUp, where both are on


@dataclass(frozen=True, eq=False)
class Mixed:
    """A batch after mixing, and how its loss is taken.

    x float32 [n, c, h, w]; y integer [n, h, w], labels that have the larger share in every pixel; `other` [n, h, w],
    those with the smaller one, `share`; None where every pixel has one label.
    """

    x: Tensor
    y: Tensor
    other: Tensor | None = None
    share: float = 0.0

    def loss(self, loss: Loss, logits: Tensor) -> Tensor:
        """The loss of logits [n, k, h, w], float32 scalar: both labels, weighed by their shares."""
        if self.other is None:
            return loss(logits, self.y)
        return (1.0 - self.share) * loss(logits, self.y) + self.share * loss(logits, self.other)


@dataclass(frozen=True)
class Mixing:
    """What mixes batches: α of both kinds, 0 where off, and the ignored value of labels. Both on: a coin per batch."""

    mixup: float
    cutmix: float
    ignore: int

    def __bool__(self) -> bool:
        return self.mixup > 0 or self.cutmix > 0

    def __call__(self, x: Tensor, y: Tensor, seed: int) -> Mixed:
        """Mix x float32 [n, c, h, w], NaN where there is no data, and y integer [n, h, w].

        The draws depend on the seed alone, and are made on the CPU: the same on every device, and none is waited for.
        """
        if not self or len(x) < 2:
            return Mixed(x, y)
        draws = np.random.default_rng(seed)
        partner = torch.from_numpy(draws.permutation(len(x)))
        if self.mixup and (not self.cutmix or draws.random() < CHANCE):
            return mixed_up(x, y, partner, float(draws.beta(self.mixup, self.mixup)), self.ignore)
        return pasted(x, y, partner, rectangles(draws, draws.beta(self.cutmix, self.cutmix, len(x)), y.shape[1:]))


def mixed_up(x: Tensor, y: Tensor, partner: Tensor, share: float, ignore: int) -> Mixed:
    """MixUp of x float32 [n, c, h, w] and y [n, h, w] with the rows `partner` int64 [n].

    `share` in [0, 1] is one's own; the larger of it and the rest is taken. A label is ignored where it was, and where a
    gap of the partner hides what it is the label of: it takes bands away, and none is left or its own label is ignored.
    So labels outlive a band that was dropped, as the others show what they are labels of.
    """
    rest = min(share, 1.0 - share)
    partner = partner.to(x.device)
    mixed, other = torch.lerp(x, x[partner], rest), y[partner]
    gone, own_gone = (part.isnan().sum(1, dtype=torch.int16) for part in (mixed, x))  # bands in each pixel
    hidden = (gone > own_gone) & ((other == ignore) | (gone == x.shape[1]))
    other_hidden = (gone > own_gone[partner]) & ((y == ignore) | (gone == x.shape[1]))
    return Mixed(mixed, y.masked_fill(hidden, ignore), other.masked_fill(other_hidden, ignore), rest)


def rectangles(draws: np.random.Generator, shares: npt.NDArray[np.float64], size: torch.Size) -> list[list[int]]:
    """Top, bottom, left, right (last ones excluded) for each share float64 [n] of one's own of a patch [h, w]."""
    sides = np.sqrt(1.0 - shares)
    ends: list[list[int]] = []
    for length in size:
        lengths = np.rint(sides * length).astype(np.int64)
        starts = draws.integers(0, length - lengths, endpoint=True)
        ends += [starts.tolist(), (starts + lengths).tolist()]
    return ends


def pasted(x: Tensor, y: Tensor, partner: Tensor, ends: list[list[int]]) -> Mixed:
    """CutMix of x [n, c, h, w] and y [n, h, w] with the rows `partner` int64 [n] (on the CPU), within rectangles."""
    mixed, labels = x.clone(), y.clone()
    for row, (source, top, bottom, left, right) in enumerate(zip(partner.tolist(), *ends, strict=True)):
        window = (..., slice(top, bottom), slice(left, right))
        mixed[row][window], labels[row][window] = x[source][window], y[source][window]
    return Mixed(mixed, labels)


def finished(mixed: Mixed, fill: float) -> Mixed:
    """With `fill` in place of the NaN that stood for no data; as it is where that is NaN, too."""
    if math.isnan(fill):
        return mixed
    return Mixed(mixed.x.masked_fill(mixed.x.isnan(), fill), mixed.y, mixed.other, mixed.share)


def check_mixing(settings: Hyperparameters) -> None:
    """Raise UserError where patches are to be mixed, and there are no two in a batch."""
    if (settings.mixup or settings.cutmix) and settings.batch_size < 2:
        option = "--mixup" if settings.mixup else "--cutmix"
        raise UserError(f"{option} mixes the patches of a batch, and --batch-size is 1; give 2 or more.")
