"""The learning rate as a function of where training is: no schedule but `plateau` remembers anything.

A step is one of the optimiser, so several batches where gradients are accumulated. All lengths are counted in the
steps that the run really makes, `--max-epochs` times those of an epoch. What `--lr-options` may say of each schedule,
and what holds without it, is in `OPTIONS`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from darts_train.base.errors import UserError, nearest
from darts_train.options.learning import Hyperparameters

OPTIONS: dict[str, dict[str, float]] = {
    "exponential": {},
    "none": {},
    "onecycle": {
        "pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 1e4, "base_momentum": 0.85, "max_momentum": 0.95
    },
    "cosine": {"min_lr": 0.0},
    "cosine-restarts": {"first_epochs": 10.0, "mult": 2.0, "min_lr": 0.0},
    "warmup-cosine": {"warmup_epochs": 5.0, "warmup_steps": 0.0, "min_lr": 0.0},
    "plateau": {"factor": 0.5, "patience": 3.0, "threshold": 1e-4, "min_lr": 0.0},
}  # fmt: skip
_LIMITS: dict[str, tuple[float, float]] = {  # inclusive; all others 0 to infinity
    "pct_start": (0.0, 1.0), "div_factor": (1.0, math.inf), "final_div_factor": (1.0, math.inf),
    "base_momentum": (0.0, 0.999999), "max_momentum": (0.0, 0.999999), "mult": (1.0, math.inf),
    "first_epochs": (1.0, math.inf), "factor": (0.0, 1.0),
}  # fmt: skip
_WHOLE = ("first_epochs", "mult", "warmup_steps", "patience")


@dataclass(frozen=True)
class Position:
    """Where training is: the epoch from 0, the step from the run's first, the steps of an epoch and of the run."""

    epoch: int
    step: int
    steps_per_epoch: int
    total: int


@dataclass(frozen=True)
class Rate:
    """Learning rate, and the momentum (of adamw and adam: the first beta), None where it stays as it is."""

    lr: float
    momentum: float | None = None


class Plateau:
    """How often the rate was reduced because validation did not gain; all of it is in checkpoints.

    As torch's ReduceLROnPlateau with mode max and a relative threshold: after more than `patience` validations
    without a gain the rate is multiplied with `factor`, and counting begins anew.
    """

    def __init__(self, patience: float, threshold: float) -> None:
        self.patience, self.threshold = patience, threshold
        self.best = -math.inf
        self.without_gain = 0
        self.reductions = 0

    def judge(self, score: float) -> None:
        """Count a validation."""
        if self.best == -math.inf or score > self.best * (1 + self.threshold):
            self.best, self.without_gain = score, 0
        else:
            self.without_gain += 1
        if self.without_gain > self.patience:
            self.reductions, self.without_gain = self.reductions + 1, 0

    def state_dict(self) -> dict[str, float]:
        """What is remembered, in plain types."""
        return {"best": self.best, "without_gain": self.without_gain, "reductions": self.reductions}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Remember again."""
        self.best = float(state["best"])
        self.without_gain, self.reductions = int(state["without_gain"]), int(state["reductions"])


class Schedule:
    """The schedule of a run. Raises UserError for options that do not exist or cannot be.

    `per_epoch` says that the rate is the same in all steps of an epoch.
    """

    def __init__(self, settings: Hyperparameters) -> None:
        self.name = settings.lr_scheduler
        self.lr, self.gamma = settings.learning_rate, settings.gamma
        self.options = parse_lr_options(settings)
        self.plateau = Plateau(self.options["patience"], self.options["threshold"]) if self.name == "plateau" else None
        self.per_epoch = self.name in ("exponential", "none", "plateau")
        self.swa_start, self.swa_lr = settings.swa_start_epoch, settings.swa_lr

    def at(self, position: Position) -> Rate:
        """The rate at a position."""
        if self.swa_lr is not None and 0 < self.swa_start <= position.epoch:
            return Rate(self.swa_lr)
        if self.name == "exponential":
            return Rate(self.lr * self.gamma**position.epoch)
        if self.plateau is not None:
            reduced = self.lr * self.options["factor"] ** self.plateau.reductions
            return Rate(max(reduced, min(self.options["min_lr"], self.lr)))
        return _BY_STEP[self.name](self.lr, position, self.options)


def _unchanged(lr: float, position: Position, options: Mapping[str, float]) -> Rate:
    return Rate(lr)


def _onecycle(lr: float, position: Position, options: Mapping[str, float]) -> Rate:
    """Up to `lr` and down below where it began (Smith and Topin 2017), momentum the other way; torch's OneCycleLR."""
    first, last = lr / options["div_factor"], lr / options["div_factor"] / options["final_div_factor"]
    low, high = options["base_momentum"], options["max_momentum"]
    peak, end = options["pct_start"] * position.total - 1, position.total - 1
    if position.step <= peak:
        share = position.step / peak if peak > 0 else 1.0
        return Rate(_between(first, lr, share), _between(high, low, share))
    share = min(1.0, (position.step - max(peak, 0)) / max(1e-9, end - max(peak, 0)))
    return Rate(_between(lr, last, share), _between(low, high, share))


def _cosine(lr: float, position: Position, options: Mapping[str, float]) -> Rate:
    """Down to `min_lr` along half a cosine, over the whole run."""
    return Rate(_between(lr, options["min_lr"], position.step / max(1, position.total)))


def _restarts(lr: float, position: Position, options: Mapping[str, float]) -> Rate:
    """Cosines of `first_epochs`, then each `mult` times as long (Loshchilov and Hutter 2016, SGDR)."""
    length = int(options["first_epochs"]) * position.steps_per_epoch
    step = position.step
    while step >= length:
        step, length = step - length, length * int(options["mult"])
    return Rate(_between(lr, options["min_lr"], step / length))


def _warmup(lr: float, position: Position, options: Mapping[str, float]) -> Rate:
    """Linearly up, the full rate in the last step of the warm-up; then half a cosine down to `min_lr`."""
    steps = int(options["warmup_steps"]) or round(options["warmup_epochs"] * position.steps_per_epoch)
    if position.step < steps:
        return Rate(lr * (position.step + 1) / steps)
    share = min(1.0, (position.step - steps) / max(1, position.total - steps))
    return Rate(_between(lr, options["min_lr"], share))


def _between(start: float, end: float, share: float) -> float:
    """From `start` (share 0) to `end` (share 1) along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


_BY_STEP: dict[str, Callable[[float, Position, Mapping[str, float]], Rate]] = {
    "none": _unchanged,
    "onecycle": _onecycle,
    "cosine": _cosine,
    "cosine-restarts": _restarts,
    "warmup-cosine": _warmup,
}


def parse_lr_options(settings: Hyperparameters) -> dict[str, float]:
    """All options of the schedule, those of `--lr-options` in place of the defaults.

    Raises UserError for one that does not exist (with the nearest), is given twice, or is beyond its limits.
    """
    name, known = settings.lr_scheduler, OPTIONS[settings.lr_scheduler]
    given: dict[str, float] = {}
    for text in settings.lr_options or ():
        key, mark, value = (part.strip() for part in text.partition("="))
        key = key.replace("-", "_")
        if not mark or not key or not value:
            raise UserError(f"--lr-options: {text!r} is not name=value, such as min_lr=1e-6.")
        if key not in known:
            hint = nearest(key, known) or (f"; there are {', '.join(known)}" if known else "; it has none")
            raise UserError(f"--lr-options: {name} has no option {key!r}{hint}.")
        if key in given:
            raise UserError(f"--lr-options: {key} is given twice.")
        given[key] = _number(key, value)
    _check_together(given, settings.learning_rate)
    return {**known, **given}


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"--lr-options: {key}: {text!r} is not a number.")
    low, high = _LIMITS.get(key, (0.0, math.inf))
    if not low <= value <= high or (key in _WHOLE and not value.is_integer()):
        kind = "a whole number" if key in _WHOLE else "a number"
        raise UserError(f"--lr-options: {key} must be {kind} from {low:g} to {high:g}, not {text}.")
    return value


def _check_together(given: Mapping[str, float], learning_rate: float) -> None:
    if given.get("min_lr", 0.0) > learning_rate:
        raise UserError(f"--lr-options: min_lr {given['min_lr']:g} is above --learning-rate {learning_rate:g}.")
    if given.get("warmup_steps") and "warmup_epochs" in given:
        raise UserError("--lr-options: warmup_steps and warmup_epochs exclude each other; give one.")


def set_rate(groups: Sequence[dict[str, Any]], rate: Rate) -> None:
    """Set learning rate, scaled by each group's `lr_scale`, and momentum of an optimiser's groups."""
    for group in groups:
        group["lr"] = rate.lr * group.get("lr_scale", 1.0)
        if rate.momentum is not None and "betas" in group:
            group["betas"] = (rate.momentum, group["betas"][1])
        elif rate.momentum is not None:
            group["momentum"] = rate.momentum
