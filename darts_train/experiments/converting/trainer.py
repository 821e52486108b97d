"""What Lightning's trainer, its callbacks and its loggers were told, as options of ours. Of Hakai and of Flood."""

from collections.abc import Callable
from typing import Any

from darts_train.experiments.converting.draft import Draft, Fate, number, text, truth, whole
from darts_train.experiments.converting.terms import SO

TRAINING, RUN, TRACKING = "training", "run", "tracking"
PRECISIONS = {"32": "32", "32-true": "32", "16-mixed": "16-mixed", "bf16-mixed": "bf16-mixed", "16": "16-mixed",
              "bf16": "bf16-mixed"}  # fmt: skip
ACCELERATORS = {"auto": "auto", "gpu": "cuda", "cuda": "cuda", "cpu": "cpu"}
IOU = ("val/iou_epoch", "val_iou", "val/iou", "val/JaccardIndex")
# Lightning's own, where ours is another.
DEFAULTS: dict[str, Any] = {
    "max_epochs": 1000,
    "check_val_every_n_epoch": 1,
    "log_every_n_steps": 50,
    "precision": "32",
}
# Off or left to us; with another value there is no counterpart.
FIXED: dict[str, tuple[tuple[Any, ...], str]] = {
    "fast_dev_run": ((False, 0), "try a configuration with --max-epochs 1 and --subsample"),
    "detect_anomaly": ((False,), "a loss that is not finite stops a run here"),
    "deterministic": ((False, "warn"), "runs give the same numbers here for the same seed"),
    "benchmark": ((False, True), "chosen for the device"),
    "enable_progress_bar": ((True,), "progress is shown on a terminal"),
    "enable_checkpointing": ((True,), "best and last are always saved"),
    "enable_model_summary": ((True, False), "nothing is printed here"),
    "gradient_clip_algorithm": (("norm",), "gradients are clipped by their norm here"),
    "val_check_interval": ((1.0, 1), "validation comes after epochs: --check-val-every-n-epoch"),
    "num_sanity_val_steps": ((0, 2), "all is checked before training"),
    "limit_train_batches": ((1.0,), "--samples-per-epoch"),
    "limit_val_batches": ((1.0,), "all validation patches are seen"),
    "limit_test_batches": ((1.0,), "all test patches are seen"),
    "sync_batchnorm": ((False,), "each device has its own statistics"),
    "max_steps": ((-1,), "--max-epochs"),
}


def put_trainer(draft: Draft, prefix: str = "trainer.") -> None:
    """Move everything below `trainer`."""
    moves: tuple[tuple[str, str, str, Callable[[str, Any], Any]], ...] = (
        ("max_epochs", TRAINING, "max_epochs", whole),
        ("accumulate_grad_batches", "network", "accumulate_grad_batches", whole),
        ("gradient_clip_val", "network", "gradient_clip", number),
        ("log_every_n_steps", TRAINING, "log_every_n_steps", whole),
        ("check_val_every_n_epoch", TRAINING, "check_val_every_n_epoch", whole),
        ("default_root_dir", RUN, "artifact_dir", text),
        ("num_nodes", RUN, "num_nodes", whole),
    )
    for key, heading, name, read in moves:
        draft.move(f"{prefix}{key}", heading, name, read)
    _put_precision(draft, f"{prefix}precision")
    _put_devices(draft, prefix)
    for key, (values, instead) in FIXED.items():
        draft.agree(f"{prefix}{key}", values, SO, instead)
    _put_callbacks(draft, prefix)
    _put_loggers(draft, prefix)
    draft.is_same(
        f"{prefix}plugins.AsyncCheckpointIO.class_path", "checkpoints are written beside the training here, too"
    )
    for name, value in DEFAULTS.items():
        if draft.value_of(name) is None and not any(fate.key == f"{prefix}{name}" for fate in draft.left):
            draft.put(TRAINING, name, value, "not given: Lightning's default")


def _put_precision(draft: Draft, key: str) -> None:
    value = str(draft.rest.get(key))
    if value in PRECISIONS:
        draft.move(key, TRAINING, "precision", lambda *_: PRECISIONS[value])
    else:
        draft.leave(key, f"no such arithmetic here; --precision {', '.join(sorted(set(PRECISIONS.values())))}")


def _put_devices(draft: Draft, prefix: str) -> None:
    kind = draft.rest.get(f"{prefix}accelerator")
    if kind in ACCELERATORS:
        draft.move(f"{prefix}accelerator", RUN, "accelerator", lambda *_: ACCELERATORS[kind])
    draft.leave(f"{prefix}accelerator", "a CPU or CUDA devices: --accelerator")
    key = f"{prefix}devices"
    if isinstance(draft.rest.get(key), int) and draft.rest[key] > 0:
        draft.move(key, RUN, "devices", whole)
    draft.leave(key, "one device unless --devices says how many; a certain one: --device 1")
    draft.agree(f"{prefix}strategy", ("auto", "ddp"), "several devices learn by ddp", "--strategy auto is ddp")


def _put_callbacks(draft: Draft, prefix: str) -> None:
    for name, move in (("EarlyStopping", put_early_stopping), ("ModelCheckpoint", _put_checkpoint),
                       ("EMAWeightAveraging", _put_ema), ("BackboneFinetuning", _put_freezing),
                       ("StochasticWeightAveraging", _put_swa)):  # fmt: skip
        at = f"{prefix}callbacks.{name}."
        if f"{at}class_path" in draft.rest:
            draft.take(f"{at}class_path")
            move(draft, f"{at}init_args.")
    if draft.value_of("early_stopping_patience") is None:
        draft.put(TRAINING, "early_stopping_patience", 0, "no EarlyStopping")
    draft.is_same(f"{prefix}callbacks.LearningRateMonitor.class_path", "metrics.csv has the learning rate")
    draft.is_same(f"{prefix}callbacks.LearningRateMonitor.init_args.logging_interval", "with every logged step")
    draft.leave_below(f"{prefix}callbacks.MaskAnnealingCallback.", "there are no masked-attention networks here")
    draft.leave_below(f"{prefix}callbacks.", "no such callback here")


def put_early_stopping(draft: Draft, at: str) -> None:
    """Move the arguments of EarlyStopping below `at`."""
    draft.move(f"{at}patience", TRAINING, "early_stopping_patience", whole)
    if draft.value_of("early_stopping_patience") is None:
        draft.put(TRAINING, "early_stopping_patience", 3, "EarlyStopping's default")
    draft.agree(f"{at}monitor", IOU, "val/JaccardIndex is what counts", "val/JaccardIndex is what counts here")
    draft.agree(f"{at}mode", ("max",), SO, "val/JaccardIndex is to be large")
    draft.agree(f"{at}min_delta", (0, 0.0), SO, "every gain counts here")
    for name in ("verbose", "strict", "check_finite", "check_on_train_epoch_end"):
        draft.is_same(f"{at}{name}", "said in metrics.csv and the log")


def _put_checkpoint(draft: Draft, at: str) -> None:
    draft.move(f"{at}save_top_k", TRAINING, "save_top_k", whole)
    draft.agree(f"{at}monitor", IOU, "best.ckpt is that of val/JaccardIndex", "best.ckpt is that of val/JaccardIndex")
    draft.agree(f"{at}mode", ("max",), SO, "val/JaccardIndex is to be large")
    draft.agree(f"{at}save_last", (True, False, "link"), "last.ckpt is always there", "last.ckpt is always there")
    draft.agree(f"{at}save_weights_only", (False,), SO,
                "checkpoints hold all that a run needs to go on; a model file without it: "
                "convert-lightning-checkpoint")  # fmt: skip
    draft.leave(f"{at}filename", "best.ckpt, last.ckpt and epoch=…-step=…-val_iou=….ckpt")
    draft.leave(f"{at}dirpath", "checkpoints lie in the run's directory below --artifact-dir")
    for name in ("verbose", "auto_insert_metric_name", "every_n_epochs"):
        draft.is_same(f"{at}{name}", "checkpoints follow validations and have names of ours")


def _put_ema(draft: Draft, at: str) -> None:
    decay = number(f"{at}decay", draft.take(f"{at}decay", 0.999))
    draft.put("network", "ema_decay", decay, f"{at}decay")
    draft.leave_below(at, "the average begins with the first step here and follows every step")


def _put_freezing(draft: Draft, at: str) -> None:
    key = f"{at}unfreeze_backbone_at_epoch"
    epochs = draft.value_of("max_epochs") or DEFAULTS["max_epochs"]
    wanted = whole(key, draft.take(key, 10))
    note = key if wanted <= epochs else f"{key}: {wanted}, which is never"
    draft.put("network", "unfreeze_at_epoch", min(wanted, epochs), note)
    draft.agree(f"{at}train_bn", (False,), "a resting encoder's statistics rest, too",
                "a resting encoder's statistics rest, too")  # fmt: skip
    draft.is_same(f"{at}verbose", "nothing is printed here")
    draft.leave_below(at, "once it learns, the encoder has the rate of the rest; --layer-decay makes it smaller")


def _put_swa(draft: Draft, at: str) -> None:
    key = f"{at}swa_epoch_start"
    epochs = draft.value_of("max_epochs") or DEFAULTS["max_epochs"]
    start = number(key, draft.take(key, 0.8))
    draft.put("network", "swa_start_epoch", int(start * epochs) if start < 1 else int(start), key)
    draft.move(f"{at}swa_lrs", "network", "swa_lr", number)
    draft.leave_below(at, "the averaging rate holds from its first epoch on")


def _put_loggers(draft: Draft, prefix: str) -> None:
    at = f"{prefix}logger.WandbLogger."
    if f"{at}class_path" in draft.rest:
        draft.take(f"{at}class_path")
        put_wandb(draft, f"{at}init_args.")
    at = f"{prefix}logger.TensorBoardLogger."
    if f"{at}class_path" in draft.rest:
        draft.take(f"{at}class_path")
        draft.put(TRACKING, "tensorboard", True, f"{prefix}logger")
        draft.leave_below(at, "event files lie in the run's directory")
    at = f"{prefix}logger.MLFlowLogger."
    if f"{at}class_path" in draft.rest:
        draft.take(f"{at}class_path")
        put_mlflow(draft, f"{at}init_args.")
    for key in [key for key in draft.rest if key.startswith(f"{prefix}logger.CSVLogger.")]:
        draft.is_same(key, "metrics.csv is always written")
    draft.agree(f"{prefix}logger", (True, False), "metrics.csv is always written", "no such logger here")
    draft.leave_below(f"{prefix}logger.", "no such logger here; there are wandb, MLflow and TensorBoard")


def put_wandb(draft: Draft, at: str) -> None:
    """Move the arguments of WandbLogger below `at`."""
    for key, name in (("entity", "wandb_entity"), ("project", "wandb_project"), ("name", "wandb_name"),
                      ("group", "wandb_group")):  # fmt: skip
        draft.move(f"{at}{key}", TRACKING, name, text)
    draft.move(f"{at}tags", TRACKING, "wandb_tags", lambda key, tags: [text(key, tag) for tag in _items(tags)])
    _put_log_model(draft, f"{at}log_model")
    draft.leave_below(at, "wandb reads its own environment variables; metrics.csv is written without it, too")


def put_mlflow(draft: Draft, at: str) -> None:
    """Move the arguments of MLFlowLogger below `at`."""
    draft.move(f"{at}tracking_uri", TRACKING, "mlflow_uri", text)
    draft.move(f"{at}experiment_name", TRACKING, "mlflow_experiment", text)
    _put_log_model(draft, f"{at}log_model")
    draft.leave(f"{at}run_name", "runs have the name of --run-name")


def _put_log_model(draft: Draft, key: str) -> None:
    value = draft.take(key)
    if value is None:
        return
    word = "all" if value == "all" else "best" if truth(key, value) else "none"
    draft.put(TRACKING, "log_model", word, key)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def put_seed(draft: Draft, key: str) -> None:
    """Move the seed; `true` is a random one, for which there is 42."""
    if draft.rest.get(key) is True:
        draft.left.append(Fate(key, draft.take(key), "a seed that differs each time; here --random-seed, 42"))
    elif draft.rest.get(key) is False:
        draft.is_same(key, "--random-seed is 42 unless another is given")
    else:
        draft.move(key, RUN, "random_seed", whole)
