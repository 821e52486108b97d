"""Starting from another network's weights, and from nothing else of it."""

from pathlib import Path

import torch

from darts_train.base.errors import UserError, listing
from darts_train.models.model_file import load_lightning_checkpoint, load_model_file
from darts_train.training.module import SegmentationModule

OPTION = "--weights-from-checkpoint"


def load_weights(module: SegmentationModule, path: Path) -> None:
    """Copy the network's weights from a run's checkpoint or a model file; hyperparameters stay the module's own.

    Raises UserError where the file cannot be read, or a weight is missing, unknown or of another shape.
    """
    state = read_weights(path)
    own = module.model.state_dict()
    absent, unknown = own.keys() - state.keys(), state.keys() - own.keys()
    if absent or unknown:
        raise UserError(
            f"{OPTION}: {path} is of another network: {len(absent)} weights are missing, {len(unknown)} unknown "
            f"({listing(sorted(absent or unknown), 2)}); use its --model-arch and --model-encoder."
        )
    other = [name for name in own if own[name].shape != state[name].shape]
    if other:
        first = other[0]
        raise UserError(
            f"{OPTION}: {path} does not fit: {first} is {tuple(state[first].shape)} there and "
            f"{tuple(own[first].shape)} here; the number of bands and classes must be the same."
        )
    module.model.load_state_dict(state)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights of a network by name, from a run's checkpoint or a model file. Raises UserError for other files."""
    try:
        return load_lightning_checkpoint(path)[1]
    except UserError as not_a_checkpoint:
        try:
            return load_model_file(path).network.state_dict()
        except UserError:
            raise not_a_checkpoint from None
