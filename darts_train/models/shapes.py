"""Whether weights are those of the network that a config names, asked before anything is built.

A config of a few bytes can name a network of a terabyte. So it is built without memory first (torch's meta device).
"""

from collections.abc import Mapping
from typing import Any

import torch

from darts_train.base.errors import UserError, listing
from darts_train.models.factory import check_names, create_from_arguments
from darts_train.models.model_config import ModelConfig

LARGEST, MOST_ITEMS = 4096, 64  # channels of a decoder's block, and blocks


def check_shapes(facts: ModelConfig, weights: Mapping[str, torch.Tensor]) -> None:
    """Raise UserError, beginning with "its weights", where their names or shapes are not those of the config's network.

    Of the few encoders that cannot be built without memory (mit_b0 and its kin) only sizes out of reason are refused.
    """
    if str(facts.model_framework) != "smp":  # of several networks each is asked by itself
        return
    model = facts.model
    check_names(model.arch, model.encoder_name)
    _check_sizes(model.further())
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                network = create_from_arguments(
                    model.arch, model.encoder_name, None, model.in_channels, model.classes, **model.further()
                )
        except RuntimeError:  # they read a number off a tensor while they are built
            return
    _compare(network.state_dict(), weights)


def _check_sizes(arguments: Mapping[str, Any]) -> None:
    for name, value in arguments.items():
        items = value if isinstance(value, list | tuple) else [value]
        if len(items) > MOST_ITEMS or any(isinstance(item, int | float) and abs(item) > LARGEST for item in items):
            raise UserError(f"its config is wrong at model.{name}: no network has such a size.")


def _compare(expected: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]) -> None:
    missing, further = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or further:
        what = f"lacks {listing(missing, 2)}" if missing else f"has {listing(further, 2)} beyond the network's"
        raise UserError(f"its weights do not fit its config; it {what}.")
    for name, tensor in expected.items():
        ours, theirs = tuple(weights[name].shape), tuple(tensor.shape)
        if ours != theirs:
            raise UserError(f"its weights do not fit its config: {name} is {ours}, by the config {theirs}.")
