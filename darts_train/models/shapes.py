"""Whether weights are those of the network that a config names, asked before anything is built.

A config of a few bytes can name a network of a terabyte. So it is built without memory first (torch's meta device).
"""

from collections.abc import Mapping

import torch

from darts_train.base.errors import UserError, listing
from darts_train.models.factory import check_names, create_from_arguments
from darts_train.models.model_config import ModelConfig


def check_shapes(facts: ModelConfig, weights: Mapping[str, torch.Tensor]) -> None:
    """Raise UserError, beginning with "its weights", where their names or shapes are not those of the config's network.

    Of the few encoders that cannot be built without memory (mit_b0 and its kin) nothing is said.
    """
    if str(facts.model_framework) != "smp":  # of several networks each is asked by itself
        return
    model = facts.model
    check_names(model.arch, model.encoder_name)
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                network = create_from_arguments(
                    model.arch, model.encoder_name, None, model.in_channels, model.classes, **model.further()
                )
        except RuntimeError:  # they read a number off a tensor while they are built
            return
    _compare(network.state_dict(), weights)


def _compare(expected: Mapping[str, torch.Tensor], weights: Mapping[str, torch.Tensor]) -> None:
    missing, further = sorted(expected.keys() - weights.keys()), sorted(weights.keys() - expected.keys())
    if missing or further:
        what = f"lacks {listing(missing, 2)}" if missing else f"has {listing(further, 2)} beyond the network's"
        raise UserError(f"its weights do not fit its config; it {what}.")
    for name, tensor in expected.items():
        ours, theirs = tuple(weights[name].shape), tuple(tensor.shape)
        if ours != theirs:
            raise UserError(f"its weights do not fit its config: {name} is {ours}, by the config {theirs}.")
