"""Everything about a run that can be wrong is found here, before the first epoch and before a file is written."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from darts_train.base.errors import UserError
from darts_train.base.files import require_file
from darts_train.base.hashes import hash_file, hash_json
from darts_train.dataset.normalisation import training_numbers
from darts_train.dataset.reader import TrainData
from darts_train.dataset.splitting.splits import SplitIndices, make_split
from darts_train.experiments.one_run.augmentation_file import with_read_augmentations
from darts_train.features.derived import Derivation
from darts_train.models.arguments import NetworkOptions, parse_options
from darts_train.models.factory import check_names, check_patch_size, network_without_memory, padding_multiple
from darts_train.models.fit import FitKind
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_file import make_model_config
from darts_train.models.normalisation import OF_SAMPLE, OF_SET
from darts_train.models.torch_device import torch_device
from darts_train.options.learning import Data, Device, Hyperparameters, Split, Training
from darts_train.raster.band import Band
from darts_train.training.augmentation.albumentations_library import Building, pipeline_tree
from darts_train.training.augmentation.albumentations_probe import NEEDING, trained_size
from darts_train.training.augmentation.pipeline import Pipeline
from darts_train.training.augmentation.reader import OPTION, ReaderPipeline, shown_bands
from darts_train.training.checkpoints.checkpoint import progress, read_checkpoint
from darts_train.training.checkpoints.weights import read_weights
from darts_train.training.deriving import open_sources
from darts_train.training.hardware.recompute import checked_blocks
from darts_train.training.losses.build import check_learning, plain_recipe

# Options of Training that change what is learned; the others change how fast, or what is written beside it.
DECISIVE = ("max_epochs", "check_val_every_n_epoch", "early_stopping_patience", "precision")
# Those of the first version. The module takes them by name, or they are in the model's description, or the loader's.
FIRST_HYPERPARAMETERS = (
    "model_arch", "model_encoder", "model_encoder_weights", "model_options", "augment", "learning_rate", "gamma",
    "focal_loss_alpha", "focal_loss_gamma", "batch_size",
)  # fmt: skip
DRAWING = ("sample_weights", "balance", "samples_per_epoch")  # likewise, in the hash only where they are given


@dataclass(frozen=True, eq=False)
class PreparedRun:
    """Checked settings of a run, and what was opened to check them."""

    data: TrainData
    indices: SplitIndices
    device: torch.device
    config: dict[str, Any]  # of the model, as in its file
    derivation: Derivation | None = None  # how its bands are made of those of `data`; None: they are these

    @property
    def bands(self) -> tuple[Band, ...]:
        """Bands of the network, in the set's encoding."""
        return self.data.bands if self.derivation is None else self.derivation.bands


def prepare_run(data: Data, split: Split, hyperparameters: Hyperparameters, device: Device, fold: int) -> PreparedRun:
    """Open the set, split it, and check that this network can learn from it here.

    Raises:
        UserError: the set is damaged, a band, region, architecture, encoder, loss, option or device does not exist, the
            split or the fold is impossible, a part is empty, or the network does not take patches of this size.
    """
    where = torch_device(device.device)
    check_names(hyperparameters.model_arch, hyperparameters.model_encoder)
    options = parse_options(hyperparameters.model_options)
    opened, derivation = open_sources(data)
    bands = opened.bands if derivation is None else derivation.bands
    hyperparameters = with_read_augmentations(hyperparameters)
    check_learning(hyperparameters, len(opened.config.classes))
    check_augmentation(hyperparameters, opened, bands, data.nodata_fill, options)
    indices = make_split(opened.metadata, split, fold, opened.config.patch_size)
    _require_parts(opened, indices, fold)
    patch_size = opened.config.patch_size
    fit = choose_fit(hyperparameters, patch_size, options)
    config = make_model_config(
        hyperparameters.model_arch,
        hyperparameters.model_encoder,
        hyperparameters.model_encoder_weights,
        input_specification(data, opened, indices, derivation),
        opened.config.classes,
        patch_size,
        opened.config.ignore_index,
        settings=opened.config.settings,
        options=options,
        fit=fit,
        derived=data.derive_bands or (),
    )
    return PreparedRun(opened, indices, where, config, derivation)


def _require_parts(opened: TrainData, indices: SplitIndices, fold: int) -> None:
    """Raise UserError where the training or validation part is empty or has no positives: it would teach nothing."""
    empty = opened.metadata["empty"]
    for part in ("train", "val"):
        rows = getattr(indices, part)
        if not len(rows):
            raise UserError(f"--fold {fold}: its {part} part has no patches; use another --fold-method or more data.")
        if empty.loc[rows].all():
            where = "the set has none at all" if empty.all() else "try --fold-method stratified, or another fold"
            raise UserError(
                f"--fold {fold}: none of the {len(rows)} patches of its {part} part has positives; {where}."
            )


def check_augmentation(
    settings: Hyperparameters, opened: TrainData, bands: Sequence[Band], fill: float, options: NetworkOptions
) -> None:
    """Raise UserError where patches of this set cannot be augmented so, or the network takes none that come of it."""
    chosen, patch_size = settings.augmentations, opened.config.patch_size
    if pipeline_tree(chosen) is None:
        Pipeline(chosen or (), bands, fill, opened.config.ignore_index)
    elif settings.augment:
        size = trained_size(chosen, bands, patch_size)
        if size != patch_size:
            choose_fit(settings, size, options)


def check_reader(settings: Hyperparameters, cache: str | None, device: torch.device) -> None:
    """Raise UserError where patches are held on a CUDA device and augmented by what only reaches main memory."""
    if settings.augment and cache == "device" and device.type != "cpu" and pipeline_tree(settings.augmentations):
        raise UserError(
            f"--cache device: {OPTION} is for the reader, in main memory; use --cache memory, or a directory."
        )


def make_reader(settings: Hyperparameters, prepared: PreparedRun, seed: int) -> ReaderPipeline | None:
    """What augments training patches while they are read, None where that is the device's."""
    tree = pipeline_tree(settings.augmentations) if settings.augment else None
    if tree is None:
        return None
    bands = shown_bands(InputSpecification.from_config(prepared.config), prepared.bands)
    ignore = prepared.data.config.ignore_index
    return ReaderPipeline(Building(tree, OPTION, NEEDING), bands, ignore, seed, prepared.derivation)


def input_specification(
    data: Data, opened: TrainData, indices: SplitIndices, derivation: Derivation | None = None
) -> InputSpecification:
    """How the network sees the set; statistics, where the normalisation needs them, are of the training patches alone.

    Raises UserError for a normalisation that this set cannot have.
    """
    if data.normalisation in OF_SET and not opened.encoded:
        raise UserError(
            f"--normalisation {data.normalisation}: {data.train_data_dir} holds values that were normalised when it "
            f"was made; use ranges, {' or '.join(OF_SAMPLE)}."
        )
    return InputSpecification.from_set(
        opened.bands if derivation is None else derivation.bands,
        data.optical_range,
        data.nodata_fill,
        data.normalisation,
        lambda: training_numbers(opened, indices.train, derivation),
    )


def choose_fit(settings: Hyperparameters, patch_size: int, options: NetworkOptions = ()) -> tuple[FitKind, int] | None:
    """How patches of this size are fitted to the network (`models.fit`), None as they are.

    Raises UserError where the network takes no such patches, and where both ways of fitting are asked for.
    """
    arch, encoder, side = settings.model_arch, settings.model_encoder, settings.resize_to
    if settings.pad_to_stride and side is not None:
        raise UserError("--pad-to-stride and --resize-to exclude each other; give one.")
    if settings.pad_to_stride:
        return "pad", _padding(arch, encoder, patch_size, options)
    if side is not None:
        check_fit(arch, encoder, side, options, "--resize-to")
        return "resize", side
    try:
        check_fit(arch, encoder, patch_size, options)
    except UserError as error:
        raise UserError(f"{error} Or give --pad-to-stride, or --resize-to.") from None
    return None


def check_recomputing(settings: Hyperparameters) -> None:
    """Raise UserError where the encoder has no blocks for `--gradient-checkpointing`."""
    options = parse_options(settings.model_options)
    checked_blocks(network_without_memory(settings.model_arch, settings.model_encoder, options), settings.model_encoder)


@functools.lru_cache(maxsize=64)
def _padding(arch: str, encoder: str, patch_size: int, options: NetworkOptions) -> int:
    return padding_multiple(arch, encoder, patch_size, options)


@functools.lru_cache(maxsize=64)
def check_fit(
    arch: str, encoder: str, patch_size: int, options: NetworkOptions = (), option: str = "--patch-size"
) -> None:
    """`check_patch_size`, which builds the network for it, once per network and size: searches ask often."""
    check_patch_size(arch, encoder, patch_size, option, options)


def validate_run_settings(
    data: Data, split: Split, hyperparameters: Hyperparameters, device: Device, fold: int
) -> None:
    """Raise UserError where a run with these settings could not start. See `prepare_run`."""
    prepare_run(data, split, hyperparameters, device, fold)


def run_fingerprint(
    prepared: PreparedRun,
    hyperparameters: Hyperparameters,
    training: Training,
    fold: int,
    seed: int,
    start: Path | None = None,
    processes: int = 1,
) -> str:
    """Hash of everything that decides a run's result: two runs with the same one give the same network.

    `start` is a checkpoint that the run begins with; its content counts, not its name. Not in the hash: where the
    data lie, the device, readers, figures, trackers; but `processes`, their number, as each has batches of its own.
    An option that came later counts only where it is not at its default, so that the runs of older versions keep their
    hash and go on.
    """
    several = {"processes": processes} if processes > 1 else {}
    drawing = {name: value for name in DRAWING if (value := getattr(training, name))}
    return hash_json(
        {
            "data": prepared.data.data_hash,
            "split": prepared.indices.hash,
            "model": prepared.config,
            "hyperparameters": {name: getattr(hyperparameters, name) for name in FIRST_HYPERPARAMETERS}
            | plain_recipe(with_read_augmentations(hyperparameters), FIRST_HYPERPARAMETERS),
            "training": {name: getattr(training, name) for name in DECISIVE} | drawing,
            "fold": fold,
            "seed": seed,
            "start": hash_file(start) if start else None,
        }
        | several
    )


def check_start(
    prepared: PreparedRun, training: Training, continue_from: Path | None, weights_from: Path | None
) -> Path | None:
    """The checkpoint a run begins with, None where it begins from nothing.

    Raises UserError where both are given, a file is missing, or a checkpoint to be continued is of another network or
    has all its epochs behind it.
    """
    if continue_from and weights_from:
        raise UserError("--continue-from-checkpoint and --weights-from-checkpoint exclude each other; give one.")
    if weights_from:
        read_weights(require_file(weights_from, "--weights-from-checkpoint"))
        return weights_from
    if not continue_from:
        return None
    path = require_file(continue_from, "--continue-from-checkpoint")
    content = read_checkpoint(path)
    ours, theirs = _identity(prepared.config), _identity(content.get("hyper_parameters", {}).get("config", {}))
    other = next((key for key in ours if ours[key] != theirs[key]), None)
    if other:
        raise UserError(
            f"--continue-from-checkpoint: {path} was trained with other {other}: {theirs[other]}; "
            "use the same settings, or --weights-from-checkpoint."
        )
    if not content.get("optimizer_states"):
        raise UserError(f"--continue-from-checkpoint: {path} holds weights alone; use --weights-from-checkpoint.")
    done, _ = progress(content)
    if done >= training.max_epochs:
        raise UserError(
            f"--continue-from-checkpoint: {path} has {done} epochs behind it; --max-epochs must be more than that."
        )
    return path


def plain_settings(groups: Mapping[str, Any]) -> dict[str, Any]:
    """Option groups as nested plain values for run.json: paths as text, tuples as lists."""
    return {name: _plain(asdict(group)) for name, group in groups.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """What must not differ where a checkpoint is continued. Its pretrained weights may: they are long replaced."""
    model = {key: value for key, value in config.get("model", {}).items() if key != "encoder_weights"}
    return (
        {"model": model}
        | {key: _plain(config.get(key)) for key in ("bands", "normalisation", "ranges", "classes")}
        | {"fit": [config.get("fit", "tile"), config.get("fit_size")]}
    )
