"""Several networks as one: its logits are those of the weighted mean of what its members say.

The mean is one of probabilities, yet everything else (maps, exports, tests) takes logits. For two classes these are

    log Σ wᵢ σ(zᵢ)  -  log Σ wᵢ σ(-zᵢ)        and for several        log Σ wᵢ softmax(zᵢ),

computed as logarithms of sums of exponentials: exact for any logit, where the logit of a mean would be infinite as soon
as float32 rounds it to 0 or 1. The weights sum to 1, so no member counts twice and a constant stays that constant.

Members may see the same scene otherwise: each fold has its own z-score, another member fewer bands. The ensemble then
sees all bands in ranges that contain every member's, and each member makes of them what it was trained on.
"""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from darts_train.models.input_spec import InputSpecification
from darts_train.models.normalisation import OF_SAMPLE

Votes = Literal["soft", "hard"]
VOTES: tuple[str, ...] = get_args(Votes)
LEAST_SHARE = 1e-6  # of votes, so that the logits of a unanimous pixel are finite


class MemberView(nn.Module):
    """What a member sees, of what the ensemble sees: its bands in its order, by its ranges, with its no data.

    Affine after affine, as the ensemble's band has other ends than the member's: with e = (v - L) / (H - L) and
    n = (v - l) / (h - l), n = e · (H - L) / (h - l) + (L - l) / (h - l). Has no weights and no trace in a state dict.
    """

    places: Tensor
    multiplier: Tensor
    bias: Tensor

    def __init__(self, whole: InputSpecification, member: InputSpecification) -> None:
        super().__init__()
        names = whole.names
        places = [names.index(name) for name in member.names]
        factors = []
        for place, ours in zip(places, member.bands, strict=True):
            theirs, span = whole.bands[place], ours.high - ours.low
            factors.append(((theirs.high - theirs.low) / span, (theirs.low - ours.low) / span))
        columns = torch.tensor(factors, dtype=torch.float64).to(torch.float32)[:, :, None, None]
        self.register_buffer("places", torch.tensor(places), persistent=False)
        self.register_buffer("multiplier", columns[:, 0], persistent=False)
        self.register_buffer("bias", columns[:, 1], persistent=False)
        self.member, self.missing_below = member, whole.nodata_fill / 2
        # Where each patch is its own measure that has been done, band by band, before any member looks.
        self.same_range = member.normalisation in OF_SAMPLE or (
            all(factor == (1, 0) for factor in factors) and whole.clipped == member.clipped
        )

    def forward(self, x: Tensor) -> Tensor:
        """The member's input float32 [n, k, h, w] of the ensemble's [n, c, h, w]."""
        x = x.index_select(1, self.places)
        missing = x <= self.missing_below
        if not self.same_range:
            x = x * self.multiplier + self.bias
            x = x.clamp(0.0, 1.0) if self.member.clipped else x
        return torch.where(missing, self.member.nodata_fill, x)


class EnsembleNetwork(nn.Module):
    """Members as one network: float32 [n, c, h, w] to logits [n, 1 or classes, h, w] of the mean of probabilities.

    Args:
        members: networks of the same number of logits; their weights are `members.{i}.…` in a state dict.
        views: what each member sees of the input; None: the input itself.
        weights: of the members, above 0; only their ratios count.
        votes: soft: the mean is one of probabilities. hard: of decisions, that is, a share of votes.
        thresholds: hard votes for two classes: the probability above which each member votes for the positive class.
    """

    shares: Tensor
    cuts: Tensor

    def __init__(
        self,
        members: Sequence[nn.Module],
        views: Sequence[nn.Module | None],
        weights: Sequence[float],
        votes: Votes = "soft",
        thresholds: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.views = nn.ModuleList(nn.Identity() if view is None else view for view in views)
        self.votes = votes
        cuts = [_logit(threshold) for threshold in thresholds or [0.5] * len(members)]
        self.register_buffer("shares", normalised(weights), persistent=False)
        self.register_buffer("cuts", torch.tensor(cuts), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.together(self.each(x))

    def each(self, x: Tensor) -> Tensor:
        """Logits of every member, float [members, n, k, h, w]."""
        return torch.stack([net(view(x)) for net, view in zip(self.members, self.views, strict=True)])

    def together(self, logits: Tensor) -> Tensor:
        """The ensemble's logits [n, k, …] of its members' [members, n, k, …]."""
        return mean_logits(logits, self.shares) if self.votes == "soft" else vote_logits(logits, self.shares, self.cuts)


def normalised(weights: Sequence[float]) -> Tensor:
    """Weights that sum to 1, float32 [m]. Raises ValueError where one is not above 0 or not finite."""
    if not weights or not all(math.isfinite(weight) and weight > 0 for weight in weights):
        raise ValueError("weights are finite and above 0")
    total = math.fsum(weights)
    return torch.tensor([weight / total for weight in weights])


def mean_logits(logits: Tensor, shares: Tensor) -> Tensor:
    """Logits [n, k, …] whose sigmoid (k = 1) or softmax is the weighted mean of the members'.

    Args:
        logits: float [m, n, k, …].
        shares: float [m], above 0, their sum 1.
    """
    weights = shares.log().view(-1, *[1] * (logits.dim() - 1))
    if logits.shape[2] == 1:
        positive = nn.functional.logsigmoid(logits) + weights
        negative = nn.functional.logsigmoid(-logits) + weights
        return positive.logsumexp(0) - negative.logsumexp(0)
    return (logits.log_softmax(2) + weights).logsumexp(0)


def vote_logits(logits: Tensor, shares: Tensor, cuts: Tensor) -> Tensor:
    """Logits [n, k, …] whose sigmoid or softmax is each class's share of the votes, within LEAST_SHARE of 0 and 1.

    Args:
        logits: float [m, n, k, …]; of several classes a member votes for the first of the most probable ones.
        shares: float [m], above 0, their sum 1.
        cuts: float [m], logits above which a member votes for the positive class (k = 1).
    """
    weights = shares.view(-1, *[1] * (logits.dim() - 1))
    if logits.shape[2] == 1:
        share = ((logits > cuts.view_as(weights)).to(logits.dtype) * weights).sum(0)
        share = share.clamp(LEAST_SHARE, 1 - LEAST_SHARE)
        return share.log() - (1 - share).log()
    classes = torch.arange(logits.shape[2], device=logits.device).view(1, 1, -1, *[1] * (logits.dim() - 3))
    votes = (logits.argmax(2, keepdim=True) == classes).to(logits.dtype)
    return (votes * weights).sum(0).clamp(min=LEAST_SHARE).log()


def _logit(probability: float) -> float:
    inside = min(max(probability, LEAST_SHARE), 1 - LEAST_SHARE)
    return math.log(inside / (1 - inside))
