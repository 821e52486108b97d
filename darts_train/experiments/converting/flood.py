"""Configurations of flood-area-segmentation: a Hydra tree of data module, model, logger and trainer.

Its augmentation stands in its program, not in its files. It is that of the presets `flood-…`, and is written beside.
"""

from typing import Any

from darts_train.experiments.converting.draft import Draft, class_name, number, text, whole
from darts_train.experiments.converting.terms import plain
from darts_train.experiments.converting.trainer import put_early_stopping, put_mlflow, put_seed, put_trainer
from darts_train.options.presets import preset_text

NAME = "flood-area-segmentation"
DATA, SPLIT, NETWORK, TRAINING = "train-data", "split", "network", "training"
MODEL, PHOTOS = "model.", "datamodule."
SIZES = ("image_size", "img_size", "size", "height", "width", "image_height", "image_width", "crop_size", "resize")
FOLDERS = ("data_dir", "root", "raw_dir", "images_dir", "masks_dir", "image_dir", "mask_dir", "images_subdir",
           "masks_subdir")  # fmt: skip


def is_flood(tree: dict[str, Any]) -> bool:
    """Whether this is a configuration of that kind."""
    return all(isinstance(tree.get(part), dict) for part in ("model", "datamodule"))


def convert_flood(draft: Draft) -> None:
    """Move all keys of a composed configuration of flood-area-segmentation."""
    _put_photos(draft)
    _put_split(draft)
    _put_model(draft)
    put_early_stopping(draft, "early_stopping.")
    put_trainer(draft)
    draft.put(TRAINING, "precision", "32", "full precision there")
    _put_logger(draft)
    put_seed(draft, "seed")
    draft.leave_below("paths.", "figures lie in the run's directory, drawn from metrics.csv")


def _put_photos(draft: Draft) -> None:
    draft.take(f"{PHOTOS}_target_")
    draft.put(DATA, "train_data_dir", "train_data", "what preprocess-raster-train-data makes of the photos")
    for key in FOLDERS:
        draft.leave(f"{PHOTOS}{key}", "photos become train data first: preprocess-raster-train-data")
    for key in [f"{PHOTOS}{name}" for name in SIZES if draft.has(f"{PHOTOS}{name}")]:
        _put_size(draft, key)
    draft.leave(f"{PHOTOS}mask_threshold", "a choice of preprocess-raster-train-data")
    _put_normalisation(draft)
    draft.move(f"{PHOTOS}batch_size", NETWORK, "batch_size", whole)
    draft.move(f"{PHOTOS}num_workers", TRAINING, "num_workers", whole)
    for key in ("pin_memory", "persistent_workers", "shuffle", "drop_last"):
        draft.is_same(f"{PHOTOS}{key}", "threads read ahead here, and stay; training patches are shuffled")


def _put_size(draft: Draft, key: str) -> None:
    value = draft.take(key)
    sides = {whole(key, side) for side in (value if isinstance(value, list) else [value])}
    known = draft.value_of("patch_size")
    if len(sides) == 1 and known in (None, *sides):
        draft.put(DATA, "patch_size", sides.pop(), f"{key}, where train data are made")
    else:
        draft.rest[key] = value
        draft.leave(key, "patches are square here: --patch-size")


def _put_normalisation(draft: Draft) -> None:
    keys = [
        f"{PHOTOS}{name}" for name in ("mean", "std", "normalize_mean", "normalize_std") if draft.has(f"{PHOTOS}{name}")
    ]
    for key in keys:
        draft.leave(key, "mean and deviation are those of the training patches: --normalisation zscore")
    draft.put(NETWORK, "normalisation", "zscore", "normalised by ImageNet's numbers there")


def _put_split(draft: Draft) -> None:
    key = f"{PHOTOS}val_split"
    share = number(key, draft.take(key, 0.2))
    folds = max(2, round(1 / share)) if share > 0 else 5
    draft.put(SPLIT, "data_split_method", None, "no test part there; give one with random, or a column")
    draft.put(SPLIT, "fold_method", "shuffle", "the first of random parts validates")
    draft.put(SPLIT, "total_folds", folds, f"{key}: {plain(share)}")
    draft.leave(f"{PHOTOS}seed", "splits are made with seed 42")
    draft.leave(f"{PHOTOS}random_seed", "splits are made with seed 42")


def _put_model(draft: Draft) -> None:
    name = class_name(draft.take(f"{MODEL}_target_", "UNet"))
    draft.put(NETWORK, "model_arch", "Unet" if name.lower() == "unet" else name, f"{MODEL}_target_")
    draft.move(f"{MODEL}encoder_name", NETWORK, "model_encoder", text)
    if f"{MODEL}encoder_weights" in draft.rest:
        draft.put(NETWORK, "model_encoder_weights", draft.take(f"{MODEL}encoder_weights"), f"{MODEL}encoder_weights")
    for key, why in (("in_channels", "as many as the train data have bands"),
                     ("num_classes", "two classes with the background have one channel here, too")):  # fmt: skip
        draft.is_same(f"{MODEL}{key}", why)
    draft.move(f"{MODEL}learning_rate", NETWORK, "learning_rate", number)
    draft.put(NETWORK, "optimizer", "adamw", "always, there")
    draft.put(NETWORK, "loss", "bce", "always, there")
    weight = number(f"{MODEL}pos_weight", draft.take(f"{MODEL}pos_weight", 3.0))
    draft.put(NETWORK, "loss_options", [f"pos_weight={plain(weight)}"], f"{MODEL}pos_weight")
    draft.agree(f"{MODEL}threshold", (0.5,), "0.5 here, too", "0.5 while training; predict takes a --threshold")
    _put_plateau(draft)
    draft.put(NETWORK, "augment_config", "-augmentation.yaml", "stands in the program there")
    draft.files["-augmentation.yaml"] = preset_text("flood-augmentation.yaml")


def _put_plateau(draft: Draft) -> None:
    at = f"{MODEL}scheduler_"
    options = [
        f"{name}={plain(number(f'{at}{name}', draft.take(f'{at}{name}', default)))}"
        for name, default in (("factor", 0.5), ("patience", 7))
    ]
    draft.put(NETWORK, "lr_scheduler", "plateau", "ReduceLROnPlateau, always, there")
    draft.put(NETWORK, "lr_options", options, f"{at}factor, patience")
    draft.agree(f"{at}monitor", ("val_iou",), "plateau looks at val/JaccardIndex", "plateau looks at val/JaccardIndex")
    draft.agree(f"{at}mode", ("max",), "val/JaccardIndex is to be large", "val/JaccardIndex is to be large")


def _put_logger(draft: Draft) -> None:
    kind = class_name(draft.take("logger._target_", "MLFlowLogger"))
    if kind == "MLFlowLogger" and any(key.startswith("logger.") for key in draft.rest):
        put_mlflow(draft, "logger.")
        return
    draft.leave_below("logger.", "no such logger here; there are wandb, MLflow and TensorBoard")
