"""`--augment-config`: read once, at the start, so that a run is known by what the file said and not by its name."""

import dataclasses
from typing import Any

from darts_train.base.errors import UserError
from darts_train.experiments.space.file import read_mapping
from darts_train.options.learning import Hyperparameters
from darts_train.training.augmentation.albumentations_library import Building, pipeline_text
from darts_train.training.augmentation.albumentations_tree import NoCounterpart, steps_of, without_counterpart
from darts_train.training.augmentation.reader import OPTION


def with_read_augmentations(settings: Hyperparameters) -> Hyperparameters:
    """The settings with `augmentations` in place of the file; as they are where there is none.

    Where a transform has no counterpart of ours, they are the whole pipeline, for Albumentations to run. Raises
    UserError where the file cannot be read, Albumentations is needed and is not there or does not take what it says,
    or both options are given.
    """
    if settings.augment_config is None:
        return settings
    if settings.augmentations:
        raise UserError(f"{OPTION} and --augmentations exclude each other; give one.")
    where = f"{OPTION}: {settings.augment_config}"
    tree = read_mapping(settings.augment_config, OPTION)
    try:
        steps = steps_of(tree, where)
    except NoCounterpart:
        return dataclasses.replace(settings, augmentations=(_theirs(settings, tree, where),), augment_config=None)
    if not steps:
        raise UserError(f"{where}: there is no augmentation in it; use --no-augment.")
    return dataclasses.replace(settings, augmentations=tuple(map(str, steps)), augment_config=None)


def _theirs(settings: Hyperparameters, tree: dict[str, Any], where: str) -> str:
    if settings.augment:
        Building(tree, where, f"{where}: {', '.join(without_counterpart(tree, where))}")
    return pipeline_text(tree, where)
