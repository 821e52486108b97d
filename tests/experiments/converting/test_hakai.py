"""Configurations of hakai-ml-train, both generations of keys, become options; nothing in them gets lost."""

import copy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.experiments.converting.convert import converted
from darts_train.experiments.converting.draft import leaves
from darts_train.experiments.space.file import yaml_value

from .samples import NEW, OLD, callback, hakai


def convert(tree):
    tool, draft = converted(yaml_value(tree) if isinstance(tree, str) else tree, "a.yaml")
    assert tool == "hakai-ml-train"
    return draft


def options(tree):
    return {entry.name: entry.value for entry in convert(tree).entries}


def has(expected, found):
    assert {name: found.get(name) for name in expected} == expected


EXPECTED = {
    "model_arch": "Segformer", "model_encoder": "mit_b3", "model_encoder_weights": "imagenet",
    "model_options": ["decoder_segmentation_channels=128"], "classes": ["bg", "macro", "nereo"], "loss": "lovasz",
    "optimizer": "adamw", "learning_rate": 3e-4, "weight_decay": 0.02, "betas": "0.9,0.95", "decay_norms": False,
    "lr_scheduler": "onecycle", "lr_options": ["pct_start=0.1"], "batch_size": 3, "num_workers": 8,
    "accumulate_grad_batches": 8, "gradient_clip": 0.5, "max_epochs": 500, "check_val_every_n_epoch": 1,
    "log_every_n_steps": 50, "precision": "bf16-mixed", "early_stopping_patience": 0, "save_top_k": 2,
    "accelerator": "cuda", "artifact_dir": "checkpoints", "random_seed": 7, "data_split_method": "column",
    "normalisation": "zscore", "augment_config": "-augmentation.yaml", "wandb_entity": "someone",
    "wandb_project": "kelp", "wandb_name": "b3", "wandb_group": "jul", "wandb_tags": ["kelp", "jul"],
    "log_model": "best",
}  # fmt: skip


@pytest.mark.parametrize("generation", [OLD, NEW])
def test_both_generations_say_the_same(generation):
    draft = convert(generation)
    has(EXPECTED, {entry.name: entry.value for entry in draft.entries})
    assert {fate.key.rpartition(".")[2] for fate in draft.left} == {
        "train_chip_dir", "val_chip_dir", "test_chip_dir", "devices", "filename",
    }  # fmt: skip


def test_the_pipeline_is_written_as_it_is_meant():
    tree = yaml.safe_load(convert(OLD).files["-augmentation.yaml"])
    square, group, objects, *_ = tree["transform"]["transforms"]
    assert (square["p"], group["p"], tree["transform"]["p"]) == (1.0, 0.5, 1.0)
    holes = group["transforms"][1]
    assert (holes["p"], holes["fill_mask"], objects["fill_mask"]) == (0.5, -100, 0)
    note = next(entry.note for entry in convert(OLD).entries if entry.name == "augment_config")
    assert "p = 0.5 where it was left out (1)" in note
    assert "where it was 0 (1)" in note


SMOOTHED = {"loss": "hakai_ml_train.losses.LabelSmoothingLovasz"}
ROWS = {
    "kelp-ps8b/segformer_b3": (
        {"architecture": "Segformer", "encoder_name": "mit_b3", "num_classes": 1, **SMOOTHED,
         "loss_opts": {"mode": "binary", "smoothing": 0.1, "ce_weight": 0.7, "lovasz_weight": 0.3},
         "optimizer_opts": {"lr": "3e-4", "betas": [0.9, 0.95]},
         "lr_scheduler_class": "hakai_ml_train.schedulers.LinearWarmupCosineDecayLR",
         "lr_scheduler_opts": {"warmup_epochs": 5, "min_lr": "3e-6"}},
        {"loss": "lovasz:0.3+soft-ce:0.7", "loss_options": ["soft-ce.smoothing=0.1"], "learning_rate": 3e-4,
         "lr_scheduler": "warmup-cosine", "lr_options": ["warmup_epochs=5", "min_lr=3e-06"]},
    ),
    "mussels-goosenecks/dpt_vits16": (
        {"architecture": "DPT", "encoder_name": "tu-vit_small_plus_patch16_dinov3.lvd1689m",
         "model_opts": {"encoder_weights": "imagenet", "in_channels": 3, "dynamic_img_size": True}, **SMOOTHED,
         "optimizer_class": "timm.optim.create_optimizer_v2",
         "optimizer_opts": {"opt": "adamw", "lr": 1e-4, "weight_decay": 0.05, "layer_decay": 0.7},
         "lr_scheduler_class": "x.LinearWarmupCosineDecayLR",
         "lr_scheduler_opts": {"warmup_steps": 500, "min_lr": 1e-6}},
        {"optimizer": "adamw", "layer_decay": 0.7, "weight_decay": 0.05, "loss": "lovasz:0.5+soft-ce:0.5",
         "lr_options": ["warmup_steps=500", "min_lr=1e-06"]},
    ),
    "eelgrass-rgb/segformer_b2": (
        {"architecture": "Segformer", "encoder_name": "mit_b2", "loss": "LovaszLoss",
         "optimizer_opts": {"lr": 1e-4}, "lr_scheduler_opts": {"max_lr": 3e-4, "pct_start": 0.1, "div_factor": 10}},
        {"learning_rate": 3e-4, "lr_options": ["pct_start=0.1", "div_factor=10"]},
    ),
    "kelp-rgb/unetpp_mobilenetv2": (
        {"architecture": "unetplusplus", "encoder_name": "mobilenet_v2", "freeze_backbone": True,
         "use_checkpointing": True, "loss": "FocalDiceComboLoss",
         "loss_opts": {"dice_kwargs": {"mode": "multiclass", "smooth": 1.0}, "focal_kwargs": {"gamma": 3.0}}},
        {"model_arch": "UnetPlusPlus", "unfreeze_at_epoch": 20, "gradient_checkpointing": True, "loss": "dice+focal",
         "loss_options": ["dice.smooth=1", "focal.gamma=3"], "lr_options": ["pct_start=0.1"]},
    ),
    "plateau": (
        {"architecture": "UperNet", "encoder_name": "mit_b3", "loss": "TverskyLoss",
         "loss_opts": {"alpha": 0.3, "beta": 0.7}, "optimizer_class": "torch.optim.SGD",
         "optimizer_opts": {"lr": 0.1, "momentum": 0.95},
         "lr_scheduler_class": "torch.optim.lr_scheduler.ReduceLROnPlateau",
         "lr_scheduler_opts": {"mode": "max", "factor": 0.3, "patience": 4}, "lr_scheduler_interval": "epoch",
         "lr_scheduler_monitor": "val/iou_epoch"},
        {"model_arch": "UPerNet", "optimizer": "sgd", "momentum": 0.95, "loss": "tversky",
         "loss_options": ["alpha=0.3", "beta=0.7"], "lr_scheduler": "plateau",
         "lr_options": ["factor=0.3", "patience=4"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_the_matrix_of_configurations(name):
    model, expected = ROWS[name]
    has(expected, options(hakai(model)))


def test_callbacks_become_options():
    found = options(
        hakai({"architecture": "Unet"}, {"callbacks": [
            callback("EarlyStopping", monitor="val/iou_epoch", mode="max", patience=30),
            callback("EMAWeightAveraging", decay=0.995),
            callback("BackboneFinetuning", unfreeze_backbone_at_epoch=100000),
        ], "plugins": [{"class_path": "lightning.pytorch.plugins.io.AsyncCheckpointIO"}]})
    )  # fmt: skip
    has({"model_encoder_weights": "imagenet"}, found)
    has({"early_stopping_patience": 30, "ema_decay": 0.995, "unfreeze_at_epoch": 20}, found)


@pytest.mark.parametrize(
    ("tree", "key", "word"),
    [
        (hakai({"loss": "HausdorffLoss"}), "model.init_args.loss", "no such loss"),
        (hakai({"loss": "LovaszLoss", "loss_opts": {"from_logits": False}}), "model.init_args.loss_opts.from_logits",
         "logits"),
        (hakai({"ignore_index": 255}), "model.init_args.ignore_index", "--remap"),
        (hakai({"optimizer_class": "x.Muon"}), "model.init_args.optimizer_class", "no such optimiser"),
        (hakai({"optimizer_opts": {"amsgrad": True}}), "model.init_args.optimizer_opts.amsgrad", "no such switch"),
        (hakai({}, {"precision": "16-true"}), "trainer.precision", "no such arithmetic"),
        (hakai({}, {"callbacks": [callback("DeviceStatsMonitor", cpu_stats=True)]}),
         "trainer.callbacks.DeviceStatsMonitor.init_args.cpu_stats", "no such callback"),
        (hakai({}, {"callbacks": [callback("ModelCheckpoint", save_weights_only=True)]}),
         "trainer.callbacks.ModelCheckpoint.init_args.save_weights_only", "convert-lightning-checkpoint"),
        (hakai({"num_queries": 100}, kind="src.models.EomtDinoMulticlassSegmentationModel"), "model.class_path", "DPT"),
        (hakai({"ckpt_path": "a.ckpt"}), "model.init_args.ckpt_path", "--weights-from-checkpoint"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_listed_with_what_to_do(tree, key, word):
    fate = next(fate for fate in convert(tree).left if fate.key == key)
    assert word in fate.why


def test_one_logger_may_stand_alone():
    found = options(hakai({}, {"logger": {"class_path": "x.WandbLogger", "init_args": {"project": "kelp"}}}))
    assert (found["wandb_project"], "log_model" in found) == ("kelp", False)
    assert options(hakai({}, {"logger": False})).keys() == options(hakai({})).keys()


def test_a_network_without_counterpart_is_not_replaced():
    found = options(hakai({"num_queries": 100}, kind="x.EomtDinoBinary"))
    assert found["model_arch"] == "EomtDinoBinary"  # which training refuses


PARSED = yaml_value(NEW)
NAMES = st.sampled_from(["wobble", "x1", "momentum_decay"])
VALUES = st.one_of(st.integers(), st.booleans(), st.text('ab \n#"', max_size=8), st.lists(st.integers(), max_size=3))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["model", "data", "trainer", ""]), NAMES, VALUES)
def test_an_unknown_key_is_never_dropped(part, name, value):
    tree = copy.deepcopy(PARSED)
    at = tree.setdefault(part, {}) if part else tree
    at = at.get("init_args", at)
    at[name] = value
    added = set(leaves(tree)) - set(leaves(PARSED))
    draft = convert(tree)
    assert added <= {fate.key for fate in draft.left}
    assert draft.rest == {}


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (hakai({"lr": "fast"}), "model.init_args.lr: 'fast' is not a number"),
        (hakai({"lr": -1}), "a.yaml: --learning-rate: -1.0 must be greater than 0"),
        (hakai({}, {"max_epochs": 2.5}), "trainer.max_epochs: 2.5 is not a whole number"),
        (hakai({"optimizer_opts": {"betas": 3}}), "are not two numbers"),
        (hakai({}, batch_size=0), "--batch-size: 0 is below"),
        ({"model": {"lr": 1}}, "no configuration of hakai-ml-train"),
    ],
)
def test_bad_values_are_told(tree, words):
    with pytest.raises(UserError) as error:
        converted(tree, "a.yaml")
    assert words in str(error.value)
    assert "\n" not in str(error.value)
