"""The network of a run as it trains, and what of its batch the device has room for."""

import dataclasses
from collections.abc import Iterable

import torch

from darts_train.experiments.one_run.settings import FIRST_HYPERPARAMETERS, PreparedRun
from darts_train.options.learning import Hyperparameters, Training
from darts_train.training.augmentation.albumentations_library import pipeline_tree
from darts_train.training.deriving import DeriveLayer
from darts_train.training.hardware.compiling import compiled
from darts_train.training.hardware.devices import resolve_precision
from darts_train.training.hardware.memory import first_that_fits
from darts_train.training.hardware.portions import Portions
from darts_train.training.hardware.recompute import recompute_blocks
from darts_train.training.loading.data_module import held_bytes
from darts_train.training.loading.patches import PatchDataset
from darts_train.training.losses.build import plain_recipe
from darts_train.training.module import SegmentationModule


def make_module(
    prepared: PreparedRun,
    h: Hyperparameters,
    training: Training,
    seed: int,
    names: dict[str, str] | None = None,
    pretrained: bool = False,
    portions: int = 1,
) -> SegmentationModule:
    """The module of a run on the CPU, on whose device a batch comes in `portions`. `auto` of `h` are numbers by now."""
    h = dataclasses.replace(h, accumulate_grad_batches=h.accumulate_grad_batches * portions)
    module = SegmentationModule(
        prepared.config, h.learning_rate, h.gamma, h.augment, h.focal_loss_alpha, h.focal_loss_gamma,
        random_seed=seed, run=names, pretrained=pretrained, recipe=plain_recipe(h, FIRST_HYPERPARAMETERS),
        derivation=prepared.derivation,
    )  # fmt: skip
    if training.compile:
        module.compiled = compiled(module.model)
    if training.gradient_checkpointing:
        recompute_blocks(module.model, h.model_encoder)
    return module


def fitting_portions(
    prepared: PreparedRun, h: Hyperparameters, training: Training, tried: Iterable[Portions]
) -> Portions | None:
    """The first of `tried` with which this run's steps go through on its device; None where none does."""
    by_size = {portions.size: portions for portions in tried}
    many = max((portions.count for portions in by_size.values()), default=1)
    size = fitting_size(prepared, h, training, by_size, many)
    return None if size is None else by_size[size]


def fitting_size(
    prepared: PreparedRun, h: Hyperparameters, training: Training, sizes: Iterable[int], portions: int = 1
) -> int | None:
    """The first of `sizes` of a batch with which this run's steps go through on its device; None where none does.

    Patches that the run holds on the device take their room meanwhile. Nothing is compiled: that takes less memory.
    """
    device, training = prepared.device, dataclasses.replace(training, compile=False)
    held = held_bytes(training.kept_in, prepared.data, prepared.indices)
    room = torch.empty(held, dtype=torch.uint8, device=device if training.kept_in == "device" else "cpu")
    patch = PatchDataset(prepared.data, prepared.indices.train)[0]
    if prepared.derivation and h.augment and pipeline_tree(h.augmentations) is not None:  # the reader derives
        patch["x"] = DeriveLayer(prepared.derivation)(patch["x"])
    try:
        return first_that_fits(
            lambda: make_module(prepared, h, training, 0, portions=portions), patch, sizes,
            resolve_precision(training.precision, device), device,
        )  # fmt: skip
    finally:
        del room
