"""`--augment-config`: read once, at the start, so that a run is known by what the file said and not by its name."""

import dataclasses

from darts_train.base.errors import UserError
from darts_train.experiments.space_file import read_mapping
from darts_train.options.learning import Hyperparameters
from darts_train.training.augmentation_albumentations import steps_of

OPTION = "--augment-config"


def with_read_augmentations(settings: Hyperparameters) -> Hyperparameters:
    """The settings with `augmentations` in place of the file; as they are where there is none.

    Raises UserError where the file cannot be read, has something without a counterpart, or both options are given.
    """
    if settings.augment_config is None:
        return settings
    if settings.augmentations:
        raise UserError(f"{OPTION} and --augmentations exclude each other; give one.")
    where = f"{OPTION}: {settings.augment_config}"
    steps = steps_of(read_mapping(settings.augment_config, OPTION), where)
    if not steps:
        raise UserError(f"{where}: there is no augmentation in it; use --no-augment.")
    return dataclasses.replace(settings, augmentations=tuple(map(str, steps)), augment_config=None)
