"""Configurations as the other tools have them, in words of our own: their keys, and values that they were used with."""

from typing import Any

IGNORE = "&ignore -100"
OLD = """
seed_everything: 7
model:
  class_path: src.models.smp.SMPMulticlassSegmentationModel
  init_args:
    architecture: segformer
    backbone: mit_b3
    model_opts: {encoder_weights: imagenet, in_channels: 3, decoder_segmentation_channels: 128}
    num_classes: 3
    class_names: [bg, macro, nereo]
    ignore_index: &ignore -100
    lr: 3e-4
    wd: 0.02
    b1: 0.9
    b2: 0.95
    loss: LovaszLoss
    loss_opts: &opts {mode: multiclass, ignore_index: *ignore, from_logits: true}
data:
  class_path: src.data.DataModule
  init_args:
    train_chip_dir: chips/train
    val_chip_dir: chips/val
    test_chip_dir: chips/test
    batch_size: 3
    num_workers: 8
    pin_memory: true
    train_transforms: &train
      __version__: 2.0.9
      transform:
        __class_fullname__: Compose
        transforms:
          - {__class_fullname__: D4, p: 1.0}
          - __class_fullname__: OneOf
            p: 0.5
            transforms:
              - {__class_fullname__: RandomGamma, p: 1.0}
              - {__class_fullname__: CoarseDropout, fill_mask: 0}
          - {__class_fullname__: MaskDropout, fill_mask: 0, p: 0.1}
          - &normalise {__class_fullname__: Normalize, mean: [0.485, 0.456, 0.406], std: [0.2, 0.2, 0.2], p: 1.0}
          - &tensor {__class_fullname__: ToTensorV2, p: 1.0}
    test_transforms:
      __version__: 2.0.9
      transform: {__class_fullname__: Compose, transforms: [*normalise, *tensor]}
trainer:
  accelerator: gpu
  devices: auto
  precision: bf16-mixed
  max_epochs: 500
  accumulate_grad_batches: 8
  gradient_clip_val: 0.5
  default_root_dir: checkpoints
  logger:
    - class_path: lightning.pytorch.loggers.WandbLogger
      init_args: {entity: someone, project: kelp, name: b3, group: jul, log_model: true, tags: [kelp, jul]}
  callbacks:
    - class_path: lightning.pytorch.callbacks.ModelCheckpoint
      init_args: {filename: "a-{epoch:02d}", monitor: val/iou_epoch, mode: max, save_last: true, save_top_k: 2}
    - class_path: lightning.pytorch.callbacks.LearningRateMonitor
      init_args: {logging_interval: step}
"""
NEW = (
    OLD.replace("src.", "hakai_ml_train.")
    .replace("backbone:", "encoder_name:")
    .replace(
        """    lr: 3e-4
    wd: 0.02
    b1: 0.9
    b2: 0.95
""",
        """    optimizer_class: torch.optim.AdamW
    optimizer_opts: {lr: 3e-4, weight_decay: 0.02, betas: [0.9, 0.95], amsgrad: false}
    lr_scheduler_class: torch.optim.lr_scheduler.OneCycleLR
    lr_scheduler_opts: {max_lr: 3e-4, pct_start: 0.1}
    lr_scheduler_interval: step
""",
    )
)
MODEL = "hakai_ml_train.models.smp.SMPBinarySegmentationModel"
CALLBACKS = "lightning.pytorch.callbacks."


def hakai(
    model: dict[str, Any], trainer: dict[str, Any] | None = None, kind: str = MODEL, **data: Any
) -> dict[str, Any]:
    """A configuration of the newer keys, without what is the same everywhere."""
    return {
        "model": {"class_path": kind, "init_args": model},
        "data": {"class_path": "hakai_ml_train.data.DataModule", "init_args": {"batch_size": 4, **data}},
        "trainer": {"max_epochs": 20, **(trainer or {})},
    }


def callback(name: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": f"{CALLBACKS}{name}", "init_args": arguments}


FLOOD = {
    "train.yaml": """
defaults: [_self_, {datamodule: flood_data}, {model: resnet34_unet}, {logger: mlflow}]
seed: 42
trainer: {accelerator: auto, devices: 1, max_epochs: 100, log_every_n_steps: 5, fast_dev_run: false}
early_stopping: {patience: 15, monitor: val_iou, mode: max}
paths: {plots_dir: ./plots}
""",
    "datamodule/flood_data.yaml": """
_target_: flood_area_segmentation.data.FloodDataModule
data_dir: data/raw
image_size: [512, 512]
val_split: 0.2
batch_size: 16
num_workers: 4
seed: ${seed}
mean: [0.485, 0.456, 0.406]
std: [0.229, 0.224, 0.225]
""",
    "model/resnet34_unet.yaml": """
_target_: flood_area_segmentation.models.UNet
encoder_name: resnet34
encoder_weights: imagenet
in_channels: 3
num_classes: 1
learning_rate: 1e-3
pos_weight: 3.0
threshold: 0.5
scheduler_factor: 0.5
scheduler_patience: 7
scheduler_mode: max
scheduler_monitor: val_iou
""",
    "model/mobilenet_unet.yaml": """
defaults: [resnet34_unet]
encoder_name: mobilenet_v2
""",
    "logger/mlflow.yaml": """
_target_: pytorch_lightning.loggers.MLFlowLogger
experiment_name: flood-area-segmentation
tracking_uri: http://127.0.0.1:8080
log_model: false
""",
}
KELP = """
data_dir: data/raw/train
metadata_fp: data/processed/metadata.parquet
dataset_stats_fp: data/processed/stats.json
output_dir: runs
cv_split: 3
bands: R,G,B,SWIR,NIR,QA,DEM
spectral_indices: [DEMWM, NDVI, ATSAVI]
sahi: false
image_size: 352
resize_strategy: pad
interpolation: nearest
batch_size: 32
num_workers: 4
normalization_strategy: quantile
fill_missing_pixels_with_torch_nan: true
mask_using_qa: true
mask_using_water_mask: true
use_weighted_sampler: true
samples_per_epoch: 10240
has_kelp_importance_factor: 2.0
kelp_pixels_pct_importance_factor: 0.2
qa_ok_importance_factor: 0.0
qa_corrupted_pixels_pct_importance_factor: -1.0
almost_all_water_importance_factor: 0.5
dem_nan_pixels_pct_importance_factor: 0.25
dem_zero_pixels_pct_importance_factor: -1.0
architecture: unet++
encoder: tu-efficientnet_b5
encoder_weights: imagenet
pretrained: true
encoder_depth: 5
decoder_channels: [256, 128, 64, 32, 16]
decoder_attention_type: null
num_classes: 2
ignore_index: null
optimizer: adamw
weight_decay: 1e-4
lr: 3e-4
lr_scheduler: onecycle
onecycle_pct_start: 0.1
onecycle_div_factor: 2.0
onecycle_final_div_factor: 100
cyclic_mode: exp_range
objective: binary
loss: dice
ce_class_weights: null
compile: false
plot_n_batches: 3
tta: false
tta_merge_mode: max
decision_threshold: 0.45
save_top_k: 1
monitor_metric: val/dice
monitor_mode: max
early_stopping_patience: 50
swa: false
swa_lr: 3e-5
precision: 16-mixed
fast_dev_run: false
epochs: 50
accumulate_grad_batches: 1
experiment: kelp-seg-training-exp
seed: 42
"""
