"""From the settings of a run to the loss it trains with.

weighed = with_numbers(hyperparameters, lambda: training_pixels(data, rows))   # `auto` becomes numbers
loss = make_loss(weighed, classes=2, ignore_index=255)
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from darts_train.base.errors import UserError
from darts_train.base.progress import track
from darts_train.dataset.reader import TrainData
from darts_train.options.learning import Hyperparameters
from darts_train.training.loading.mixing import check_mixing
from darts_train.training.losses.common import Loss
from darts_train.training.losses.focal import FocalLoss
from darts_train.training.losses.lovasz import Lovasz
from darts_train.training.losses.pixel import BinaryCrossEntropy, CrossEntropy, SoftCrossEntropy
from darts_train.training.losses.region import Dice, FocalTversky, Jaccard, LogCoshDice, MatthewsCorrelation, RegionLoss
from darts_train.training.losses.terms import AUTO, KINDS, Term, check_terms, parse_class_weights, parse_terms
from darts_train.training.optimising.optimisers import parse_betas
from darts_train.training.optimising.schedules import parse_lr_options

MAKERS: dict[str, Callable[..., Loss]] = {
    "bce": BinaryCrossEntropy,
    "ce": CrossEntropy,
    "soft-ce": SoftCrossEntropy,
    "dice": Dice,
    "jaccard": Jaccard,
    "tversky": RegionLoss,
    "focal-tversky": FocalTversky,
    "log-cosh-dice": LogCoshDice,
    "lovasz": Lovasz,
    "mcc": MatthewsCorrelation,
}


class WeightedSum:
    """A sum of losses, each times its weight."""

    def __init__(self, terms: Sequence[tuple[float, Loss]]) -> None:
        self.terms = tuple(terms)

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """The sum, float32 scalar; shapes as those of the terms."""
        return torch.stack([weight * loss(logits, target) for weight, loss in self.terms]).sum()

    def total(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The sum times the number of valid pixels, and that number."""
        totals = [(weight, loss.total(logits, target)) for weight, loss in self.terms]
        return torch.stack([weight * total for weight, (total, _) in totals]).sum(), totals[0][1][1]


def make_loss(settings: Hyperparameters, classes: int, ignore_index: int) -> Loss:
    """The loss of a run. `auto` must have become numbers (`with_numbers`).

    Raises UserError for names and options that do not exist, or do not go with the number of classes.
    """
    terms, weights = checked_loss(settings, classes)
    if weights == AUTO or any(AUTO in term.options.values() for term in terms):
        raise ValueError("auto has not become numbers; see with_numbers")
    made = [(term.weight, _make(term, settings, classes, ignore_index, weights)) for term in terms]
    return made[0][1] if len(made) == 1 and made[0][0] == 1 else WeightedSum(made)


def checked_loss(settings: Hyperparameters, classes: int) -> tuple[tuple[Term, ...], tuple[float, ...] | str | None]:
    """Terms and class weights of a run's settings. Raises UserError as `make_loss`; nothing is built."""
    terms = parse_terms(settings.loss, settings.loss_options)
    weights = parse_class_weights(settings.class_weights, classes)
    check_terms(terms, weights, classes)
    return terms, weights


def _make(term: Term, settings: Hyperparameters, classes: int, ignore_index: int, weights: Any) -> Loss:
    if term.name == "focal":
        focus = {"alpha": settings.focal_loss_alpha, "gamma": settings.focal_loss_gamma} | dict(term.options)
        return FocalLoss(classes, ignore_index=ignore_index, **focus)  # type: ignore[arg-type]
    further: dict[str, Any] = dict(term.options)
    if weights is not None and KINDS[term.name].takes_weights:
        further["weights"] = weights
    return MAKERS[term.name](classes, ignore_index, **further)


def with_numbers(settings: Hyperparameters, pixels: Callable[[], Sequence[int]]) -> Hyperparameters:
    """The settings with numbers for every `auto`; `pixels` counts the training pixels of each class, if need be.

    Class weights become inversely proportional to the pixels, 1 on average; `pos_weight` background over positives.
    A class without a pixel has the weight 1: it weighs nothing either way.
    """
    automatic = [text for text in settings.loss_options or () if text.split("=")[-1].strip().lower() == AUTO]
    weighed = (settings.class_weights or "").strip().lower() == AUTO
    if not automatic and not weighed:
        return settings
    counts = np.asarray(pixels(), dtype=np.float64)
    ratio = float(counts[0] / counts[1:].sum()) if counts[1:].sum() > 0 and counts[0] > 0 else 1.0
    options = tuple(
        f"{text.split('=')[0]}={ratio:.6g}" if text in automatic else text for text in settings.loss_options or ()
    )
    return dataclasses.replace(
        settings,
        loss_options=options or None,
        class_weights=_balanced(counts) if weighed else settings.class_weights,
    )


def _balanced(counts: "np.ndarray[Any, np.dtype[np.float64]]") -> str:
    """`1.8,0.2`: weights of mean 1 over the classes that occur."""
    inverse = np.divide(1.0, counts, out=np.zeros_like(counts), where=counts > 0)
    occurring = inverse[counts > 0]
    weights = np.where(counts > 0, inverse / occurring.mean() if len(occurring) else 1.0, 1.0)
    return ",".join(f"{weight:.6g}" for weight in weights)


def training_pixels(data: TrainData, rows: Sequence[int] | np.ndarray) -> list[int]:
    """Number of pixels of each class in the given patches; from the metadata where it has them, else read.

    Raises UserError for damaged patches.
    """
    classes, size = len(data.config.classes), int(np.prod(data.y.shape[1:]))
    if {"class_fractions", "valid_fraction"} <= set(data.metadata):
        part = data.metadata.iloc[np.asarray(rows, dtype=np.int64)]
        shares = list(part["class_fractions"])
        if shares and all(share is not None and len(share) == classes for share in shares):
            found = np.stack(shares).astype(np.float64)  # of all pixels or of the valid ones, as the writer took it
            found /= np.maximum(found.sum(1, keepdims=True), 1e-12)
            found *= part["valid_fraction"].to_numpy(dtype=np.float64)[:, None]
            return [round(total) for total in (found.sum(0) * size).tolist()]
    counts = np.zeros(classes, dtype=np.int64)
    for row in track(rows, "counting classes", len(rows)):
        counts += np.bincount(data.read(int(row))[1].ravel(), minlength=256)[:classes]
    return [int(count) for count in counts]


def check_learning(settings: Hyperparameters, classes: int) -> None:
    """Look at the names and options of loss, optimiser and schedule before anything begins. Raises UserError."""
    checked_loss(settings, classes)
    check_mixing(settings)
    parse_betas(settings.betas)
    parse_lr_options(settings)
    if settings.ema_decay and settings.swa_start_epoch:
        raise UserError(
            "--ema-decay and --swa-start-epoch exclude each other: a checkpoint holds one average; give one."
        )
    if settings.swa_lr is not None and not settings.swa_start_epoch:
        raise UserError("--swa-lr has no effect without --swa-start-epoch.")


def check_length(settings: Hyperparameters, epochs: int) -> None:
    """Raise UserError where something of these settings would begin only after the run's end."""
    if settings.swa_start_epoch >= epochs:
        raise UserError(
            f"--swa-start-epoch: {settings.swa_start_epoch} must be below --max-epochs, {epochs}; nothing is averaged."
        )


def recorded_loss(
    settings: Mapping[str, Any], recipe: Mapping[str, Any] | None, classes: int, ignore_index: int
) -> Loss:
    """The loss of an earlier run: its hyperparameters from run.json, and the numbers `auto` became from hparams.yaml.

    Where the numbers are gone, `auto` weighs nothing. What a run of an older version does not say is at its default.
    """
    names = ("focal_loss_alpha", "focal_loss_gamma", "loss", "loss_options", "class_weights")
    known = {**settings, **(recipe or {})}
    said = {name: known[name] for name in names if name in known}
    if isinstance(said.get("loss_options"), list):
        said["loss_options"] = tuple(said["loss_options"])
    return make_loss(with_numbers(Hyperparameters(**said), lambda: [1] * classes), classes, ignore_index)


def plain_recipe(settings: Hyperparameters, own: Sequence[str]) -> dict[str, Any]:
    """Settings that are not at their defaults, but for those named in `own`, as plain values for a checkpoint."""
    found: Mapping[str, Any] = {f.name: (getattr(settings, f.name), f.default) for f in dataclasses.fields(settings)}
    changed = {name: value for name, (value, default) in found.items() if name not in own and value != default}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in changed.items()}
