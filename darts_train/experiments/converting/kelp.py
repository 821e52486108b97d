"""Configurations of the kelp-wanted reference (`TrainConfig` as YAML): flat, one key an argument of its program."""

from typing import Any

from darts_train.experiments.converting.draft import Draft, number, text, truth, whole
from darts_train.experiments.converting.hakai import ARCHITECTURES
from darts_train.experiments.converting.terms import SO, plain

NAME = "kelp-wanted-competition"
DATA, SPLIT, NETWORK, TRAINING, RUN = "train-data", "split", "network", "training", "run"
BANDS = {"R": "red", "G": "green", "B": "blue", "NIR": "nir", "SWIR": "swir16", "QA": "qa", "DEM": "dem"}
NORMALISATIONS = {
    "min-max": "minmax", "quantile": "quantile", "z-score": "zscore", "per-sample-min-max": "sample-minmax",
    "per-sample-quantile": "sample-quantile",
}  # fmt: skip
LOSSES = {
    "ce": "ce", "jaccard": "jaccard", "dice": "dice", "tversky": "tversky", "focal": "focal", "lovasz": "lovasz",
    "soft_ce": "soft-ce", "xedice": "ce:0.5+dice:0.5", "focal_tversky": "focal-tversky",
    "log_cosh_dice": "log-cosh-dice", "soft_dice": "dice", "batch_soft_dice": "dice",
}  # fmt: skip
MOVES = (
    ("batch_size", NETWORK, "batch_size", whole),
    ("num_workers", TRAINING, "num_workers", whole),
    ("samples_per_epoch", TRAINING, "samples_per_epoch", whole),
    ("encoder", NETWORK, "model_encoder", text),
    ("weight_decay", NETWORK, "weight_decay", number),
    ("lr", NETWORK, "learning_rate", number),
    ("early_stopping_patience", TRAINING, "early_stopping_patience", whole),
    ("save_top_k", TRAINING, "save_top_k", whole),
    ("epochs", TRAINING, "max_epochs", whole),
    ("log_every_n_steps", TRAINING, "log_every_n_steps", whole),
    ("accumulate_grad_batches", NETWORK, "accumulate_grad_batches", whole),
    ("compile", TRAINING, "compile", truth),
    ("experiment", "tracking", "mlflow_experiment", text),
    ("seed", RUN, "random_seed", whole),
    ("cv_split", RUN, "fold", whole),
    ("output_dir", RUN, "artifact_dir", text),
)
FACTORS = {
    "has_kelp_importance_factor": ("(not empty)", 3.0),
    "kelp_pixels_pct_importance_factor": ("(1 - positive_fraction)", 0.2),
    "qa_ok_importance_factor": ("qa_ok", 0.0),
    "qa_corrupted_pixels_pct_importance_factor": ("(1 - qa_corrupted_pixels_pct)", -1.0),
    "almost_all_water_importance_factor": ("(1 - water_pixels_pct)", 0.5),
    "dem_nan_pixels_pct_importance_factor": ("(1 - dem_nan_pixels_pct)", 0.25),
    "dem_zero_pixels_pct_importance_factor": ("(1 - dem_zero_pixels_pct)", -1.0),
}
# Schedule there → ours; its options by their keys there, with what holds without them.
SCHEDULES: dict[str, tuple[str, dict[str, tuple[str, float]]]] = {
    "onecycle": ("onecycle", {"onecycle_pct_start": ("pct_start", 0.1), "onecycle_div_factor": ("div_factor", 2.0),
                              "onecycle_final_div_factor": ("final_div_factor", 100.0)}),
    "cosine": ("cosine", {"cosine_eta_min": ("min_lr", 1e-7)}),
    "cosine_with_warm_restarts": ("cosine-restarts", {"cosine_eta_min": ("min_lr", 1e-7),
                                                      "cosine_T_mult": ("mult", 2)}),
    "reduce_lr_on_plateau": ("plateau", {"reduce_lr_on_plateau_factor": ("factor", 0.95),
                                         "reduce_lr_on_plateau_patience": ("patience", 2),
                                         "reduce_lr_on_plateau_threshold": ("threshold", 1e-4),
                                         "reduce_lr_on_plateau_min_lr": ("min_lr", 1e-6)}),
    "none": ("none", {}),
}  # fmt: skip
PREFIXES = ("onecycle_", "cosine_", "reduce_lr_on_plateau_", "cyclic_")
MASKING = "a choice where train data are made"
FIXED: dict[str, tuple[tuple[Any, ...], str]] = {
    "sahi": ((False,), "train data of small patches: --patch-size 128"),
    "image_size": ((352,), "--resize-to, or --patch-size where train data are made"),
    "interpolation": (("nearest",), "patches are padded; --resize-to takes means"),
    "num_classes": ((2,), "as many as the train data say"),
    "ignore_index": ((None,), "-100 of labels is the ignore index here"),
    "objective": (("binary",), "as many classes as the train data say"),
    "ort": ((False,), "no such runtime here"),
    "plot_n_batches": ((0, 3), "--plot-every-n-val-epochs"),
    "tta": ((False,), "predict maps once"),
    "fast_dev_run": ((False,), "try with --max-epochs 1 and --subsample"),
    "benchmark": ((False, True), "chosen for the device"),
    "val_check_interval": ((1.0, 1), "validation comes after epochs"),
    "monitor_mode": (("max",), "val/JaccardIndex is to be large"),
    "monitor_metric": (
        ("val/iou", "val/iou_kelp"),
        "val/JaccardIndex is what counts: of kelp alone, and not of the background too",
    ),
    "swa": ((False,), "--swa-start-epoch"),
}


def is_kelp(tree: dict[str, Any]) -> bool:
    """Whether this is a configuration of that kind."""
    return {"architecture", "encoder"} <= set(tree) and any(
        "importance_factor" in key or key == "normalization_strategy" for key in tree
    )


def convert_kelp(draft: Draft) -> None:
    """Move all keys of a TrainConfig."""
    draft.put(DATA, "train_data_dir", "train_data", "what preprocess-raster-train-data makes of the tiles")
    _put_bands(draft)
    draft.put(SPLIT, "fold_method", "group-stratified", "places stay together, always, there")
    draft.put(SPLIT, "total_folds", 10, "always, there")
    for key, heading, name, read in MOVES:
        draft.move(key, heading, name, read)
    _put_network(draft)
    _put_loss(draft)
    _put_schedule(draft)
    _put_sampler(draft)
    _put_precision(draft)
    draft.put(NETWORK, "augmentations", ["Rotate:limit=90:p=0.5", "HorizontalFlip:p=0.5", "VerticalFlip:p=0.5"],
              "always, there; what comes in from outside is ignored here")  # fmt: skip
    draft.put(NETWORK, "pad_to_stride", True, "350 pixels become 352; the border is ignored here")
    draft.put(TRAINING, "check_val_every_n_epoch", 1, "always, there")
    for key in ("data_dir", "metadata_fp", "dataset_stats_fp"):
        draft.leave(key, "statistics are those of the training patches of each fold; tiles become train data first")
    for key, (values, instead) in FIXED.items():
        draft.agree(key, values, SO, instead)
    for key in [key for key in draft.rest if key.startswith(("swa_", "tta_", "cyclic_", "compile_"))]:
        draft.leave(key, "of something that is off, or has other options here")
    draft.leave("decision_threshold", "predict takes a --threshold of the probability, not of one of two logits")


def _put_bands(draft: Draft) -> None:
    bands = _names(draft.take("bands", list(BANDS)))
    indices = _names(draft.take("spectral_indices", []))
    found = [BANDS.get(name, name) for name in bands] + [f"kelp:{name}" for name in indices]
    draft.put(DATA, "bands", found, "bands, spectral_indices")
    draft.move("normalization_strategy", DATA, "normalisation", lambda key, word: NORMALISATIONS.get(word, word))
    draft.leave("fill_missing_pixels_with_torch_nan", "no data is no data here, and --nodata-fill what a network sees")
    for key in ("mask_using_qa", "mask_using_water_mask"):
        draft.leave(key, MASKING)


def _names(value: Any) -> list[str]:
    items = value.split(",") if isinstance(value, str) else value
    return [str(item).strip() for item in items or [] if str(item).strip()]


def _put_network(draft: Draft) -> None:
    draft.move("architecture", NETWORK, "model_arch", _architecture)
    weights = draft.take("encoder_weights")
    pretrained = truth("pretrained", draft.take("pretrained", False))
    draft.put(NETWORK, "model_encoder_weights", weights if pretrained else None, "encoder_weights, where pretrained")
    options = []
    if draft.has("decoder_channels"):
        options.append(f"decoder_channels={','.join(_names(draft.take('decoder_channels')))}")
    if draft.has("decoder_attention_type"):
        options.append(f"decoder_attention_type={draft.take('decoder_attention_type')}")
    if options:
        draft.put(NETWORK, "model_options", options, "decoder_channels, decoder_attention_type")
    for key in ("decoder_attention_type", "encoder_depth"):
        draft.is_same(key, "as deep as decoder_channels is long")
    draft.move("optimizer", NETWORK, "optimizer", text)
    draft.agree("resize_strategy", ("pad",), "--pad-to-stride", "--resize-to SIDE")


def _architecture(key: str, name: Any) -> str:
    plain_name = str(name).lower().replace("+", "plus")
    return ARCHITECTURES.get(plain_name, str(name))


def _put_loss(draft: Draft) -> None:
    name = draft.take("loss", "dice")
    if name in LOSSES:
        draft.put(NETWORK, "loss", LOSSES[name], f"loss: {name}; of kelp, where the source averaged the background in")
    else:
        draft.rest["loss"] = name
        draft.leave("loss", f"no such loss here; nearest are {', '.join(sorted(set(LOSSES.values())))}")
    if draft.has("ce_class_weights"):
        draft.put(NETWORK, "class_weights", ",".join(_names(draft.take("ce_class_weights"))), "ce_class_weights")
    draft.leave("ce_smooth_factor", "--loss-options smoothing=… of soft-ce")


def _put_schedule(draft: Draft) -> None:
    name = draft.take("lr_scheduler", "none")
    if name in SCHEDULES:
        ours, known = SCHEDULES[name]
        options = [
            f"{option}={plain(number(key, draft.take(key, default)))}" for key, (option, default) in known.items()
        ]
        options += ["first_epochs=1"] * (ours == "cosine-restarts")
        draft.put(NETWORK, "lr_scheduler", ours, "lr_scheduler")
        if options:
            draft.put(NETWORK, "lr_options", options, ", ".join(known))
    else:
        draft.rest["lr_scheduler"] = name
        draft.leave("lr_scheduler", "no such schedule here; onecycle goes up and down once")
    for key in [key for key in draft.rest if key.startswith(PREFIXES)]:
        draft.leave(key, "of another schedule than the one that is chosen")


def _put_sampler(draft: Draft) -> None:
    factors = {key: number(key, draft.take(key, default)) for key, (_, default) in FACTORS.items()}
    if not truth("use_weighted_sampler", draft.take("use_weighted_sampler", False)):
        for key, factor in factors.items():
            draft.rest[key] = factor
            draft.leave(key, "use_weighted_sampler is off")
        return
    usual = all(factors[key] == default for key, (_, default) in FACTORS.items())
    terms = " + ".join(f"{plain(factors[key])} * {column}" for key, (column, _) in FACTORS.items() if factors[key])
    draft.put(TRAINING, "sample_weights", "kelp" if usual else f"minmax({terms})", "use_weighted_sampler and factors")


def _put_precision(draft: Draft) -> None:
    words = {"32-true": "32", "16-mixed": "16-mixed", "bf16-mixed": "bf16-mixed"}
    value = draft.rest.get("precision")
    if value in words:
        draft.move("precision", TRAINING, "precision", lambda *_: words[value])
    draft.leave("precision", f"no such arithmetic here; there are {', '.join(words.values())}")
