"""Losses, optimisers and schedules of torch, segmentation-models-pytorch and Hakai by name, as options of ours."""

from collections.abc import Mapping
from typing import Any

from darts_train.base.errors import UserError
from darts_train.experiments.converting.draft import Draft, class_name, number, truth

NETWORK = "network"
LOSSES = {
    "DiceLoss": "dice", "JaccardLoss": "jaccard", "TverskyLoss": "tversky", "FocalLoss": "focal",
    "LovaszLoss": "lovasz", "MCCLoss": "mcc", "SoftBCEWithLogitsLoss": "bce", "SoftCrossEntropyLoss": "soft-ce",
    "BCEWithLogitsLoss": "bce", "CrossEntropyLoss": "ce", "LabelSmoothingCrossEntropy": "soft-ce",
}  # fmt: skip
LOSS_OPTIONS = {
    "dice": {"smooth": "smooth"},
    "jaccard": {"smooth": "smooth"},
    "tversky": {"alpha": "alpha", "beta": "beta", "smooth": "smooth"},
    "focal": {"alpha": "alpha", "gamma": "gamma"},
    "bce": {"pos_weight": "pos_weight"},
    "soft-ce": {"smoothing": "smoothing", "smooth_factor": "smoothing"},
}
# Options of their losses, and the values with which ours are the same.
LOSS_FIXED: dict[str, tuple[Any, ...]] = {
    "from_logits": (True,), "per_image": (False,), "eps": (1e-7,), "classes": (), "log_loss": (False,),
    "normalized": (False,), "reduced_threshold": (), "reduction": ("mean",), "ignore_index": (-100,), "gamma": (1.0, 1),
}  # fmt: skip
LOSS_INSTEAD = {
    "from_logits": "losses get logits here, and no second softmax comes upon them",
    "ignore_index": "-100 of labels is the ignore index here; map this value to it with --remap",
    "classes": "all classes enter the loss here; weigh them with --class-weights",
}
OPTIMISERS = {"AdamW": "adamw", "Adam": "adam", "SGD": "sgd", "adamw": "adamw", "adam": "adam", "sgd": "sgd"}
# Schedule of torch or Hakai → ours; its options; those that are counted here or are always so.
SCHEDULES: dict[str, tuple[str, Mapping[str, str]]] = {
    "OneCycleLR": ("onecycle", {"pct_start": "pct_start", "div_factor": "div_factor",
                                "final_div_factor": "final_div_factor", "base_momentum": "base_momentum",
                                "max_momentum": "max_momentum"}),
    "CosineAnnealingLR": ("cosine", {"eta_min": "min_lr"}),
    "CosineAnnealingWarmRestarts": ("cosine-restarts", {"T_mult": "mult", "eta_min": "min_lr"}),
    "LinearWarmupCosineDecayLR": ("warmup-cosine", {"warmup_steps": "warmup_steps", "warmup_epochs": "warmup_epochs",
                                                    "min_lr": "min_lr"}),
    "ReduceLROnPlateau": ("plateau", {"factor": "factor", "patience": "patience", "threshold": "threshold",
                                      "min_lr": "min_lr"}),
    "ExponentialLR": ("exponential", {}),
    "ConstantLR": ("none", {}),
}  # fmt: skip
_COUNTED = "steps are counted here: --max-epochs times those of an epoch"
SCHEDULE_INSTEAD = {"total_steps": _COUNTED, "steps_per_epoch": _COUNTED, "T_max": _COUNTED, "epochs": _COUNTED,
                    "T_0": "in epochs here: --lr-options first_epochs=…"}  # fmt: skip
SCHEDULE_FIXED: dict[str, tuple[Any, ...]] = {
    "anneal_strategy": ("cos",), "cycle_momentum": (True,), "three_phase": (False,), "mode": ("max",),
    "threshold_mode": ("rel",), "cooldown": (0,), "last_epoch": (-1,), "verbose": (False, "deprecated"),
}  # fmt: skip
SO = "so it is here"
GIVES_LOGITS = "a network gives logits here, and losses get them"


def plain(value: float) -> str:
    """A number as options have it: `0.1`, `5`."""
    return f"{value:.12g}"


def put_loss(draft: Draft, key: str, options: str) -> None:
    """Move the name below `key` and the arguments below `options` to --loss and --loss-options."""
    name = draft.take(key)
    if name is None:
        return
    title = class_name(name)
    prefix = f"{options}."
    if title == "FocalDiceComboLoss":
        _put_combination(draft, key, prefix)
    elif title == "LabelSmoothingLovasz":
        _put_smoothed_lovasz(draft, key, prefix)
    elif title in LOSSES:
        found = _loss_options(draft, LOSSES[title], prefix)
        draft.put(NETWORK, "loss", LOSSES[title], f"{key}: {title}")
        _put_list(draft, "loss_options", found, options)
    else:
        draft.rest[key] = name
        draft.leave(key, f"no such loss here; there are {', '.join(sorted(set(LOSSES.values())))} and their sums")
        draft.leave_below(prefix, "an argument of that loss")


def _put_combination(draft: Draft, key: str, prefix: str) -> None:
    found = []
    for term in ("dice", "focal"):
        found += [f"{term}.{item}" for item in _loss_options(draft, term, f"{prefix}{term}_kwargs.")]
    draft.put(NETWORK, "loss", "dice+focal", f"{key}: FocalDiceComboLoss")
    _put_list(draft, "loss_options", found, prefix.rstrip("."))


def _put_smoothed_lovasz(draft: Draft, key: str, prefix: str) -> None:
    weights = {
        term: number(f"{prefix}{name}", draft.take(f"{prefix}{name}", 0.5))
        for term, name in (("lovasz", "lovasz_weight"), ("soft-ce", "ce_weight"))
    }
    options = _loss_options(draft, "soft-ce", prefix) or ["smoothing=0.1"]
    loss = "+".join(f"{term}:{plain(weight)}" for term, weight in weights.items())
    draft.put(NETWORK, "loss", loss, f"{key}: LabelSmoothingLovasz")
    _put_list(draft, "loss_options", [f"soft-ce.{item}" for item in options], prefix.rstrip("."))


def _loss_options(draft: Draft, loss: str, prefix: str) -> list[str]:
    """`name=value` of a loss's arguments; those that have no counterpart are listed."""
    known, found = LOSS_OPTIONS.get(loss, {}), []
    for key in [key for key in draft.rest if key.startswith(prefix)]:
        name = key.removeprefix(prefix)
        if name == "mode":
            draft.is_same(key, "two classes are binary, more are multiclass")
        elif name in known:
            if draft.has(key):
                found.append(f"{known[name]}={plain(number(key, draft.take(key)))}")
        elif name in LOSS_FIXED:
            instead = LOSS_INSTEAD.get(name, f"{loss} has no such argument here")
            draft.agree(key, LOSS_FIXED[name], GIVES_LOGITS if name == "from_logits" else SO, instead)
    return found


def put_optimiser(draft: Draft, name: str, key: str) -> None:
    """Write --optimizer for a class or a name; one that is not here is listed under `key`."""
    title = class_name(name)
    if title in OPTIMISERS:
        draft.put(NETWORK, "optimizer", OPTIMISERS[title], key)
    else:
        draft.rest[key] = name
        draft.leave(key, f"no such optimiser here; there are {', '.join(sorted(set(OPTIMISERS.values())))}")


def put_betas(draft: Draft, values: Any, key: str) -> None:
    """Write --betas for two averaging factors. Raises UserError where they are not two numbers."""
    if not isinstance(values, list | tuple) or len(values) != 2:
        raise UserError(f"{key}: {values!r} are not two numbers.")
    draft.put(NETWORK, "betas", ",".join(plain(number(key, value)) for value in values), key)


def put_schedule(draft: Draft, name: Any, key: str, options: str) -> None:
    """Move a scheduler's class and the arguments below `options` to --lr-scheduler and --lr-options.

    `max_lr` is the greatest rate of OneCycle, so it is --learning-rate here.
    """
    title, prefix = class_name(name), f"{options}."
    if title not in SCHEDULES:
        draft.rest[key] = name
        draft.leave(key, "no such schedule here; see --lr-scheduler")
        draft.leave_below(prefix, "an argument of that schedule")
        return
    ours, known = SCHEDULES[title]
    found = _schedule_options(draft, known, prefix)
    draft.put(NETWORK, "lr_scheduler", ours, f"{key}: {title}")
    draft.move(f"{prefix}max_lr", NETWORK, "learning_rate", number)
    if ours == "exponential":
        draft.move(f"{prefix}gamma", NETWORK, "gamma", number)
    _put_list(draft, "lr_options", found, options)


def _schedule_options(draft: Draft, known: Mapping[str, str], prefix: str) -> list[str]:
    found = []
    for key in [key for key in draft.rest if key.startswith(prefix)]:
        name = key.removeprefix(prefix)
        if name in known:
            if draft.has(key):
                found.append(f"{known[name]}={plain(number(key, draft.take(key)))}")
        elif name in SCHEDULE_INSTEAD:
            draft.leave(key, SCHEDULE_INSTEAD[name])
        elif name in SCHEDULE_FIXED:
            draft.agree(key, SCHEDULE_FIXED[name], SO, "the schedule has no such argument here")
    return found


def _put_list(draft: Draft, name: str, items: list[str], note: str) -> None:
    if items:
        draft.put(NETWORK, name, items, note)


def put_momentum(draft: Draft, prefix: str) -> None:
    """Arguments of optimisers that are no rates: momentum, and switches that are off here."""
    draft.move(f"{prefix}momentum", NETWORK, "momentum", number)
    for name in ("amsgrad", "nesterov", "maximize", "foreach", "fused", "capturable", "differentiable"):
        if f"{prefix}{name}" in draft.rest:
            on = draft.has(f"{prefix}{name}") and truth(f"{prefix}{name}", draft.rest[f"{prefix}{name}"])
            draft.rest[f"{prefix}{name}"] = on
            draft.agree(f"{prefix}{name}", (False,), "off here, too", "the optimiser has no such switch here")
