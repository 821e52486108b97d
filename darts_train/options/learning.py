"""Options of one network learning: the data it reads, how they are split, what it is and how it trains."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from darts_train.base.errors import UserError
from darts_train.options.fields import OptionGroup, option

DataSplitMethod = Literal["random", "region", "sample", "column", "fold"]
FoldMethod = Literal["kfold", "stratified", "shuffle", "region", "region-stratified", "group-stratified"]
NumWorkers = int | Literal["auto"]
Normalisation = Literal["ranges", "zscore", "minmax", "quantile", "sample-minmax", "sample-quantile"]
Precision = Literal["auto", "32", "bf16-mixed", "16-mixed"]
Optimizer = Literal["adamw", "adam", "sgd"]
Accelerator = Literal["auto", "cpu", "cuda"]
Strategy = Literal["auto", "ddp", "cv-parallel", "tune-parallel"]
LogModel = Literal["none", "best", "all"]
LrScheduler = Literal["exponential", "onecycle", "cosine", "cosine-restarts", "warmup-cosine", "plateau", "none"]


@dataclass(frozen=True, kw_only=True)
class Data(OptionGroup):
    """Which train data, which of its bands, and how the network sees them."""

    train_data_dir: Path = option("Train data directory (config.toml, data.zarr, metadata.parquet).")
    bands: tuple[str, ...] | None = option("Bands to use, in this order; none: all of the set.", None)
    derive_bands: tuple[str, ...] | None = option(
        "Further bands, computed while training from those of the set, such as ndvi; they follow --bands.", None
    )
    optical_range: str | None = option(
        "Reflectance that becomes 0 and 1: v1 (0,0.3), v2 (-0.1,0.5) or LO,HI; none: as the set says.", None
    )
    normalisation: Normalisation = option(
        "What becomes 0 and 1: fixed ranges of the bands, statistics of the training patches, or each patch's own.",
        "ranges",
        aliases=("--normalization",),
    )
    nodata_fill: float = option(
        "What the network sees where there is no data, after normalisation.", 0.0, low=-1e6, high=1e6
    )


@dataclass(frozen=True, kw_only=True)
class Split(OptionGroup):
    """How the test part is cut off, and how the rest is folded."""

    data_split_method: DataSplitMethod | None = option("How the test part is cut; none: all is train and test.", None)
    data_split_by: tuple[str, ...] | None = option(
        "random: fraction of the test part; region, sample: its names; column: a column of train, val and test "
        "(none: split), or COLUMN=VALUE (repeat the option); fold: METHOD:FOLD/FOLDS.",
        None,
        commas=False,
    )
    fold_method: FoldMethod | None = option("How folds are made; none: validation equals training.", "kfold")
    total_folds: int = option("Number of folds.", 5, low=2)
    subsample: int | None = option("Keep this many patches, drawn with seed 42.", None, low=1)
    group_by: str | None = option(
        "group-stratified: the column whose values stay together; none: group where it is filled, else sample_id.", None
    )
    stratify_by: tuple[str, ...] | None = option(
        "Columns whose values are spread evenly over the folds; none: with and without positives.", None
    )
    where: str | None = option(
        "Use only patches that satisfy this, such as \"valid_fraction > 0.5 and region != 'x'\".", None
    )
    purge_overlap: bool = option(
        "Leave training patches out that share pixels, or ground in another scene, with validation or test.", False
    )


@dataclass(frozen=True, kw_only=True)
class Hyperparameters(OptionGroup):
    """What a search may vary."""

    model_arch: str = option("Architecture of segmentation-models-pytorch, or FCN (small, at full resolution).", "Unet")
    model_encoder: str = option("Encoder (smp or tu- timm name; of FCN: dilated).", "dpn107")
    model_encoder_weights: str | None = option("Pretrained encoder weights, such as imagenet.", None)
    model_options: tuple[str, ...] | None = option(
        "Further argument of the network as name=value, such as encoder_depth=3 (repeat).", None, commas=False
    )
    pad_to_stride: bool = option("Pad patches with no data to a size the network takes.", False)
    resize_to: int | None = option("Side in pixels to which patches are resampled.", None, low=1, high=4096)
    augment: bool = option("Flips, rotations, brightness and noise while training.", True)
    augmentations: tuple[str, ...] | None = option(
        "Which augmentations, in order, as NAME or NAME:parameter=value:p=0.5; none: the usual ones.", None
    )
    augment_config: Path | None = option("Augmentations from a serialised Albumentations pipeline (YAML, JSON).", None)
    mixup: float = option("MixUp of the patches of a batch: its alpha, such as 0.2; 0: off.", 0.0, low=0, high=100)
    cutmix: float = option("CutMix of the patches of a batch: its alpha, such as 1; 0: off.", 0.0, low=0, high=100)
    learning_rate: float = option("Step size of the optimiser.", 1e-3, above=0, high=1e30)
    gamma: float = option("Factor on the learning rate after every epoch.", 0.9, above=0, high=1)
    focal_loss_alpha: float | None = option("Focal loss: weight of positives, 0 to 1.", None, low=0, high=1)
    focal_loss_gamma: float = option("Focal loss: focus on hard pixels.", 2.0, low=0)
    batch_size: int = option("Patches per step.", 8, low=1)
    loss: str = option("Loss by name, or a weighted sum such as dice:0.5+focal:0.5.", "focal")
    loss_options: tuple[str, ...] | None = option(
        "Option of the loss as name=value, or dice.smooth=1 in a sum (repeat).", None, commas=False
    )
    class_weights: str | None = option("Weight of each class, background first (1,5), or auto.", None)
    optimizer: Optimizer = option("Optimiser.", "adamw")
    weight_decay: float | None = option("Weight decay; none: 0.01 for adamw, else 0.", None, low=0)
    decay_norms: bool = option("Weight decay on norms and biases, too.", True)
    betas: str = option("The two averaging factors of adamw and adam.", "0.9,0.999")
    momentum: float = option("Momentum of sgd.", 0.9, low=0, high=1)
    layer_decay: float = option(
        "Factor on the learning rate from each layer of the encoder to the one before.", 1.0, above=0, high=1
    )
    unfreeze_at_epoch: int = option("Epochs in which the encoder stays as it is; 0: none.", 0, low=0)
    lr_scheduler: LrScheduler = option("How the learning rate goes on; exponential: by gamma.", "exponential")
    lr_options: tuple[str, ...] | None = option(
        "Option of the learning rate's schedule as name=value, such as warmup_epochs=5 (repeat).", None, commas=False
    )
    accumulate_grad_batches: int = option("Batches whose gradients make one step.", 1, low=1)
    gradient_clip: float = option("Largest norm of the gradient; 0: no limit.", 0.0, low=0)
    ema_decay: float = option(
        "Average of the weights over steps, such as 0.999, is validated and saved; 0: off.", 0.0, low=0, high=0.999999
    )
    swa_start_epoch: int = option("Epochs before the weights of epochs are averaged (SWA); 0: off.", 0, low=0)
    swa_lr: float | None = option("Learning rate while they are; none: as scheduled.", None, above=0, high=1e30)


@dataclass(frozen=True, kw_only=True)
class Training(OptionGroup):
    """How long and how a run trains; no effect on what is searched."""

    max_epochs: int = option("Epochs at most.", 100, low=1)
    log_every_n_steps: int = option("Steps between two logged training losses.", 10, low=1)
    check_val_every_n_epoch: int = option("Epochs between two validations.", 3, low=1)
    early_stopping_patience: int = option("Validations without a gain before stopping; 0: never.", 5, low=0)
    plot_every_n_val_epochs: int = option("Validations between two sets of figures; 0: none.", 5, low=0)
    save_top_k: int = option("Best checkpoints kept beside best and last; 0 none, -1 all.", 1, low=-1)
    num_workers: NumWorkers = option(
        "Threads that read patches ahead; auto: the cores but one, at most 8; 0: none.", "auto", low=0
    )
    in_memory: bool = option("Read the encoded patches into memory once.", False)
    precision: Precision = option("Arithmetic of the network; auto: bf16 on GPUs and CPUs with AMX, else 32.", "auto")
    gradient_checkpointing: bool = option("Compute the encoder twice, to need less memory.", False)
    cache: str | None = option(
        "Where encoded patches are kept between epochs: memory, device (that trains), or a directory of this machine.",
        None,
    )
    sample_weights: str | None = option(
        'How often a training patch is drawn: an expression of metadata, such as "1 if empty else 3", or kelp.',
        None,
    )
    balance: bool = option("Draw as many training patches with positives as without.", False)
    samples_per_epoch: int | None = option("Training patches per epoch; none: as many as there are.", None, low=1)
    auto_batch: bool = option("Where --batch-size needs too much memory, learn each batch in portions that fit.", False)
    compile: bool = option("Compile the network for its device before it trains.", False)

    def __post_init__(self) -> None:
        """Check limits, and that the two names of one thing agree. Raises UserError."""
        super().__post_init__()
        if self.in_memory and self.cache not in (None, "memory"):
            raise UserError(f"--in-memory means --cache memory, but --cache is {self.cache}; give one of them.")

    @property
    def kept_in(self) -> str | None:
        """`cache`, or what the older `in_memory` says."""
        return "memory" if self.in_memory else self.cache


@dataclass(frozen=True, kw_only=True)
class Device(OptionGroup):
    """Where the network runs."""

    device: str | None = option("auto, cpu, a CUDA index (0) or cuda:1; of a search several (0,1).", "auto")


@dataclass(frozen=True, kw_only=True)
class Devices(OptionGroup):
    """Several devices for one run, which share its patches."""

    accelerator: Accelerator = option("Kind of device; auto: CUDA devices where there are any.", "auto")
    devices: int = option("Devices on each machine, from the first on; --batch-size is that of each.", 1, low=1)
    strategy: Strategy = option("How several devices learn together: auto is ddp.", "auto")
    num_nodes: int = option("Machines; the command is started on each.", 1, low=1)


@dataclass(frozen=True, kw_only=True)
class Artifacts(OptionGroup):
    """Where runs are kept."""

    artifact_dir: Path = option("Directory of all runs.", Path("artifacts"))


@dataclass(frozen=True, kw_only=True)
class Tracking(OptionGroup):
    """Services that are told of runs; wandb when project and entity are given. metrics.csv is always written."""

    wandb_project: str | None = option("Project.", None)
    wandb_entity: str | None = option("User or team.", None)
    wandb_name: str | None = option("Name there; of runs of a cross-validation the beginning. none: ours.", None)
    wandb_group: str | None = option("Group there; none: the name of the tune.", None)
    wandb_tags: tuple[str, ...] | None = option("Further tags there.", None)
    mlflow_uri: str | None = option("Address or directory of MLflow (extra mlflow).", None)
    mlflow_experiment: str = option("Experiment of MLflow.", "darts")
    tensorboard: bool = option("Write event files of TensorBoard (extra tensorboard).", False)
    log_model: LogModel = option("Checkpoints that wandb and MLflow get at the end of a run.", "none")


@dataclass(frozen=True, kw_only=True)
class Run(OptionGroup):
    """One run: its fold, its seed, its name."""

    run_name: str | None = option("Name of the run; none: a random one. An unfinished run of that name goes on.", None)
    fold: int = option("Which fold validates.", 0, low=0)
    random_seed: int = option("Seed of weights, order and augmentation.", 42, low=0)
    continue_from_checkpoint: Path | None = option("Go on from this checkpoint (weights, optimiser, epoch).", None)
    weights_from_checkpoint: Path | None = option("Start with the weights of this checkpoint.", None)


@dataclass(frozen=True, kw_only=True)
class Test(OptionGroup):
    """A finished run to be tested."""

    run_name: str = option("Name of the run.")
    run_id: str = option("Its eight-character id.")
    model_ckp: Path | None = option("Checkpoint; none: best.ckpt of the run.", None)
    batch_size: int = option("Patches per step.", 8, low=1)
    num_workers: NumWorkers = option(
        "Threads that read patches ahead; auto: the cores but one, at most 8; 0: none.", "auto", low=0
    )
