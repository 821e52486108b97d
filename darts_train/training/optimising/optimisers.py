"""The optimiser of a run, the groups of its parameters, and an encoder that rests for the first epochs.

By default all parameters are one group, as torch makes it. Groups come with `--no-decay-norms` (norms and biases are
not decayed, as is usual for transformers) and `--layer-decay` (early layers of a pretrained encoder learn slower).
"""

import re

import torch
from torch import nn

from darts_train.base.errors import UserError
from darts_train.options.learning import Hyperparameters

SCALE = "lr_scale"  # of a group: factor on the learning rate of the schedule
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


def make_optimiser(network: nn.Module, settings: Hyperparameters) -> torch.optim.Optimizer:
    """The optimiser over all parameters of a network, frozen ones too: these have no gradient, so nothing happens.

    Raises UserError where `--betas` are none.
    """
    groups = parameter_groups(network, settings)
    betas = parse_betas(settings.betas)
    decay = settings.weight_decay
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, settings.learning_rate, settings.momentum, weight_decay=decay or 0.0)
    if settings.optimizer == "adam":
        return torch.optim.Adam(groups, settings.learning_rate, betas, weight_decay=decay or 0.0)
    return torch.optim.AdamW(groups, settings.learning_rate, betas, weight_decay=0.01 if decay is None else decay)


def parse_betas(text: str) -> tuple[float, float]:
    """`0.9,0.999` as two numbers in [0, 1). Raises UserError."""
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"--betas: {text!r} is not two numbers, such as 0.9,0.999.") from None
    if not (0 <= first < 1 and 0 <= second < 1):
        raise UserError(f"--betas: {text} must be at least 0 and below 1.")
    return first, second


def parameter_groups(network: nn.Module, settings: Hyperparameters) -> list[dict[str, object]] | list[nn.Parameter]:
    """All parameters, or groups of them by layer and by whether they are decayed, in the order of the network."""
    if settings.decay_norms and settings.layer_decay == 1:
        return list(network.parameters())
    scales = layer_scales(network, settings.layer_decay)
    undecayed = set() if settings.decay_norms else _norms_and_biases(network)
    groups: dict[tuple[float, bool], dict[str, object]] = {}
    for name, parameter in network.named_parameters():
        key = (scales[name], name in undecayed)
        if key not in groups:
            groups[key] = {"params": [], SCALE: key[0]} | ({"weight_decay": 0.0} if key[1] else {})
        groups[key]["params"].append(parameter)  # type: ignore[attr-defined]
    return list(groups.values())


def layer_scales(network: nn.Module, decay: float) -> dict[str, float]:
    """Factor on the learning rate of every parameter by name: 1 outside the encoder, `decay`^n for n layers below it.

    The layers are the encoder's blocks, in the order in which it holds them; norms between two belong to the first.
    """
    inside = [name for name, _ in network.named_parameters() if name.startswith("encoder.")]
    norms = _norms_and_biases(network)
    layers: list[str] = []
    place: dict[str, int] = {}
    for name in inside:
        layer = _layer(name)
        if layer not in layers and (name not in norms or not layers):
            layers.append(layer)
        place[name] = layers.index(layer) if layer in layers else len(layers) - 1
    scales = {name: decay ** (len(layers) - place[name]) for name in inside}
    return {name: scales.get(name, 1.0) for name, _ in network.named_parameters()}


def _layer(name: str) -> str:
    """Up to the first number of a parameter's name: `encoder.layer1.0.conv1.weight` → `encoder.layer1.0`."""
    match = re.match(r"(.*?\.\d+)\.", name)
    return match[1] if match else name.rpartition(".")[0]


def _norms_and_biases(network: nn.Module) -> set[str]:
    """Names of all biases and of the parameters of norms, also of norms of a kind of their own (one dimension)."""
    norms = {
        f"{path}.{name}" if path else name
        for path, module in network.named_modules()
        if isinstance(module, _NORMS)
        for name, _ in module.named_parameters(recurse=False)
    }
    return norms | {name for name, p in network.named_parameters() if p.ndim <= 1 or name.endswith(".bias")}


def set_frozen(network: nn.Module, frozen: bool) -> None:
    """Freeze the encoder, its normalisation statistics and dropout included, or let it learn again."""
    encoder = network.get_submodule("encoder")
    encoder.requires_grad_(not frozen)
    encoder.train(not frozen)
