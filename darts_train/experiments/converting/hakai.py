"""Configurations of hakai-ml-train (LightningCLI YAML), of both generations of its keys.

The older one has class paths below `src`, `backbone`, `lr`, `wd`, `b1`, `b2` and `warmup_period`; the newer one below
`hakai_ml_train`, `encoder_name`, `optimizer_class`, `optimizer_opts` and `lr_scheduler_opts`.
"""

from typing import Any

from darts_train.experiments.converting.draft import Draft, class_name, number, text, truth, whole
from darts_train.experiments.converting.terms import (
    SO,
    plain,
    put_betas,
    put_loss,
    put_momentum,
    put_optimiser,
    put_schedule,
)
from darts_train.experiments.converting.trainer import put_seed, put_trainer
from darts_train.experiments.converting.transforms import put_training_pipeline, put_validation_pipeline

NAME = "hakai-ml-train"
DATA, SPLIT, NETWORK, TRAINING = "train-data", "split", "network", "training"
MODEL, CHIPS = "model.init_args.", "data.init_args."
ARCHITECTURES = {name.lower(): name for name in (
    "Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "DeepLabV3", "DeepLabV3Plus", "PAN", "UPerNet",
    "Segformer", "DPT")}  # fmt: skip
SMP = ("SMPBinarySegmentationModel", "SMPMulticlassSegmentationModel")
OTHER_MODELS = {
    "Eomt": "queries of a masked transformer; DPT with the same encoder (tu-vit_large_patch16_dinov3.…) comes near",
    "TerraTorch": "terratorch is not used here; Unet or UPerNet with a tu- encoder, and the bands as they are",
    "MAE": "no pretraining without labels here; --model-encoder-weights takes what timm has",
    "Kom": "a network made of finished ones; predict with each and compare",
    "HabitatMapper": "a finished ONNX model is not trained; predict maps with what export-model wrote",
}
SHAPING = ("encoder_depth", "encoder_output_stride", "upsampling", "psp_out_channels", "psp_use_batchnorm")
CHIP_DIRS = ("train_chip_dir", "val_chip_dir", "test_chip_dir")
IMPORT = "chips become train data first (import-chips), with their folder as the column split"

IGNORED = "-100 of labels is the ignore index here; map this value to it with --remap"


def is_hakai(tree: dict[str, Any]) -> bool:
    """Whether this is a configuration of that kind."""
    return any(isinstance(tree.get(part), dict) and "class_path" in tree[part] for part in ("model", "data"))


def convert_hakai(draft: Draft) -> None:
    """Move all keys of a configuration of hakai-ml-train."""
    _put_data(draft)
    put_trainer(draft)
    _put_model(draft)
    put_loss(draft, f"{MODEL}loss", f"{MODEL}loss_opts")
    _put_optimiser(draft)
    _put_schedule(draft)
    put_training_pipeline(draft, f"{CHIPS}train_transforms", "-augmentation.yaml")
    put_validation_pipeline(draft, f"{CHIPS}test_transforms")
    put_seed(draft, "seed_everything")
    draft.agree("ignore_index", (-100,), "an anchor: -100 of labels is the ignore index", IGNORED)
    draft.leave("ckpt_path", "to go on with a run, call train-smp again with its --run-name")


def _put_data(draft: Draft) -> None:
    kind = class_name(draft.take("data.class_path", "DataModule"))
    draft.put(DATA, "train_data_dir", "train_data", "what the chips were imported to")
    for key in CHIP_DIRS:
        draft.leave(f"{CHIPS}{key}", IMPORT)
    draft.put(SPLIT, "data_split_method", "column", "of the chips' folders")
    draft.put(SPLIT, "fold_method", "kfold", "not used where the column has val")
    if kind != "DataModule":
        draft.rest["data.class_path"] = kind
        instead = {
            "WebDataModule": "a set of a hub: fetch its parquet files and import them as chips",
            "KOMBaselineRGBIDataModule": "for normalisation by each image see --normalisation sample-minmax",
        }
        draft.leave("data.class_path", instead.get(kind, "no such data here"))
    draft.move(f"{CHIPS}batch_size", NETWORK, "batch_size", whole)
    draft.move(f"{CHIPS}num_workers", TRAINING, "num_workers", whole)
    for key in ("pin_memory", "persistent_workers"):
        draft.is_same(f"{CHIPS}{key}", "threads read ahead here, and stay")


def _put_model(draft: Draft) -> None:
    kind = class_name(draft.take("model.class_path", SMP[0]))
    _put_architecture(draft, kind)
    draft.move(f"{MODEL}backbone", NETWORK, "model_encoder", text)
    draft.move(f"{MODEL}encoder_name", NETWORK, "model_encoder", text)
    _put_network_options(draft, f"{MODEL}model_opts.")
    _put_classes(draft, kind)
    draft.agree(f"{MODEL}ignore_index", (-100,), "-100 of labels is the ignore index", IGNORED)
    if draft.has(f"{MODEL}use_checkpointing"):
        draft.move(f"{MODEL}use_checkpointing", TRAINING, "gradient_checkpointing", truth)
    if draft.has(f"{MODEL}freeze_backbone") and truth(f"{MODEL}freeze_backbone", draft.rest[f"{MODEL}freeze_backbone"]):
        draft.take(f"{MODEL}freeze_backbone")
        draft.put(NETWORK, "unfreeze_at_epoch", draft.value_of("max_epochs"), f"{MODEL}freeze_backbone: always")
    draft.agree(f"{MODEL}freeze_backbone", (False,), "off here, too", "")
    for key in ("ckpt_path", "pt_path"):
        draft.leave(f"{MODEL}{key}", "weights of another program; --weights-from-checkpoint takes those of train-smp")


def _put_architecture(draft: Draft, kind: str) -> None:
    if kind in SMP:
        key = f"{MODEL}architecture"
        draft.move(key, NETWORK, "model_arch", lambda _, name: ARCHITECTURES.get(str(name).lower(), str(name)))
        return
    instead = next((words for start, words in OTHER_MODELS.items() if kind.startswith(start)), "no such network here")
    draft.put(NETWORK, "model_arch", kind, "has no counterpart: training refuses this name; choose an architecture")
    draft.rest["model.class_path"] = kind
    draft.leave("model.class_path", instead)
    for key in [key for key in draft.rest if key.startswith(MODEL) and key.removeprefix(MODEL) in _OF_OTHERS]:
        draft.leave(key, f"an argument of {kind}")


_OF_OTHERS = ("image_size", "num_queries", "decoder_dim", "decoder_depth", "mask_ratio", "heads", "model", "revision",
              "architecture")  # fmt: skip


def _put_network_options(draft: Draft, prefix: str) -> None:
    if f"{prefix}encoder_weights" in draft.rest:
        draft.put(NETWORK, "model_encoder_weights", draft.take(f"{prefix}encoder_weights"), f"{prefix}encoder_weights")
    else:
        draft.put(NETWORK, "model_encoder_weights", "imagenet", "not given: the default there")
    draft.is_same(f"{prefix}in_channels", "as many as the train data have bands, or --bands says")
    found = []
    for key in [key for key in draft.rest if key.startswith(prefix)]:
        name = key.removeprefix(prefix)
        if (name in SHAPING or name.startswith("decoder_")) and draft.has(key):
            found.append(f"{name}={_option(draft.take(key))}")
    if found:
        draft.put(NETWORK, "model_options", found, prefix.rstrip("."))
    draft.leave_below(prefix, "--model-options takes what shapes encoder and decoder")


def _option(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _put_classes(draft: Draft, kind: str) -> None:
    key = f"{MODEL}num_classes"
    count = whole(key, draft.take(key, 2 if kind == SMP[0] else 3))
    names = draft.take(f"{MODEL}class_names")
    if names is not None and len(names) == max(count, 2):
        draft.put(DATA, "classes", [str(name) for name in names], f"{MODEL}class_names")
        return
    if names is not None:
        draft.rest[f"{MODEL}class_names"] = names
        draft.leave(
            f"{MODEL}class_names", f"{len(names)} names for {count} classes; --classes where chips are imported"
        )
    draft.rest[key] = count
    draft.is_same(key, f"{max(count, 2)} classes with the background, as the train data say")


def _put_optimiser(draft: Draft) -> None:
    given = draft.take(f"{MODEL}optimizer_class", "torch.optim.AdamW")
    at = f"{MODEL}optimizer_opts."
    if class_name(given) == "create_optimizer_v2":  # timm's, whose `opt` names it
        given = draft.take(f"{at}opt", "adamw")
        draft.move(f"{at}layer_decay", NETWORK, "layer_decay", number)
    put_optimiser(draft, given, f"{MODEL}optimizer_class")
    for old, new, name in (("lr", "lr", "learning_rate"), ("wd", "weight_decay", "weight_decay")):
        draft.move(f"{MODEL}{old}", NETWORK, name, number)
        draft.move(f"{at}{new}", NETWORK, name, number)
    if draft.has(f"{MODEL}b1") or draft.has(f"{MODEL}b2"):
        put_betas(draft, [draft.take(f"{MODEL}b1", 0.9), draft.take(f"{MODEL}b2", 0.999)], f"{MODEL}b1, b2")
    if draft.has(f"{at}betas"):
        put_betas(draft, draft.take(f"{at}betas"), f"{at}betas")
    for prefix in (MODEL, at):
        put_momentum(draft, prefix)
    draft.put(NETWORK, "decay_norms", False, "norms and biases never decay there")


def _put_schedule(draft: Draft) -> None:
    key, at = f"{MODEL}lr_scheduler_class", f"{MODEL}lr_scheduler_opts"
    older = not draft.has(key) and not any(one.startswith(f"{at}.") for one in draft.rest)
    rate = draft.value_of("learning_rate")
    put_schedule(draft, draft.take(key, "OneCycleLR"), key, at)
    if draft.value_of("learning_rate") != rate and rate is not None:
        draft.put(NETWORK, "learning_rate", draft.value_of("learning_rate"),
                  f"{at}.max_lr, which overrides the optimiser's {plain(rate)}")  # fmt: skip
    if older:
        start = number(f"{MODEL}warmup_period", draft.take(f"{MODEL}warmup_period", 0.1))
        draft.put(NETWORK, "lr_options", [f"pct_start={plain(start)}"], f"{MODEL}warmup_period, 0.1 if not given")
    draft.leave(f"{MODEL}warmup_period", "the schedule has options of its own: --lr-options")
    draft.agree(f"{MODEL}lr_scheduler_monitor", ("val/iou_epoch", "val/loss"), "plateau looks at val/JaccardIndex",
                "plateau looks at val/JaccardIndex here")  # fmt: skip
    draft.agree(f"{MODEL}lr_scheduler_interval", ("step", "epoch"), SO, "schedules know steps and epochs themselves")
