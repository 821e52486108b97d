"""Model files: a network's weights and everything needed to use it, read without trusting the file.

A file is `torch.save({"config": …, "statedict": …})`; a Lightning checkpoint says the same in
`hyper_parameters["config"]` and `state_dict`. Both are read as `tensor_file.py` reads: nothing is ever unpickled.
The third form is safetensors with JSON (`safetensors_file.py`), alone or in a folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from darts_train.base.errors import UserError, listing
from darts_train.base.files import require_file
from darts_train.models.arguments import NetworkOptions
from darts_train.models.ensemble_config import ensemble_network
from darts_train.models.factory import check_names, create_from_arguments
from darts_train.models.fit import TILE, Fit, fitted
from darts_train.models.input_spec import InputSpecification
from darts_train.models.model_config import (
    ENSEMBLE,
    ModelConfig,
    NetworkArguments,
    make_model_config,
    read_model_config,
)
from darts_train.models.plain_values import plain_values
from darts_train.models.safetensors_file import SUFFIX, read_safetensors, weights_in
from darts_train.models.shapes import check_shapes
from darts_train.models.tempering import tempered
from darts_train.models.tensor_file import read_tensor_file, write_tensor_file

__all__ = [
    "LoadedModel", "load_lightning_checkpoint", "load_model_file", "make_model_config", "model_of", "read_parts",
    "save_model_file",
]  # fmt: skip

StateDict = dict[str, torch.Tensor]
OLDER_FACTS = ("run_name", "run_id", "cv_name", "tune_name", "datetime")
NETWORK_PREFIX = "model."  # where the training module keeps the network


@dataclass(frozen=True)
class LoadedModel:
    """A network ready for use, and what its file says of it.

    `network` is on the CPU, in evaluation mode, float32, and returns logits: 1 channel for two classes, else one
    per class; `fit` makes images that it takes of patches. `classes` names the background first. `source` holds the
    settings of the train data that change what a scene's bands mean (scale, offset, radii). `config` is the dictionary
    as it was in the file.
    """

    network: nn.Module
    spec: InputSpecification
    classes: tuple[str, ...]
    threshold: float
    patch_size: int
    source: dict[str, Any]
    config: dict[str, Any]
    fit: Fit = TILE

    @property
    def derived(self) -> tuple[str, ...]:
        """Bands that the train data did not hold, but were made of its own."""
        return tuple(map(str, self.config.get("derived") or ()))

    @property
    def whole(self) -> nn.Module:
        """The network for patches as they are; no data must be NaN where `fit.marked`."""
        return fitted(self.network, self.fit)

    @property
    def side(self) -> int:
        """Side of the network's image of a patch of training."""
        return self.fit.side(self.patch_size)

    @property
    def arch(self) -> str:
        """Name of the architecture."""
        return str(self.config["model"].get("arch", "Unet"))

    @property
    def encoder(self) -> str:
        """Name of the encoder."""
        return str(self.config["model"]["encoder_name"])

    @property
    def options(self) -> NetworkOptions:
        """Further arguments of the constructor."""
        return NetworkArguments.model_validate(self.config["model"]).options()


def save_model_file(path: Path, config: Mapping[str, Any], state_dict: Mapping[str, torch.Tensor]) -> None:
    """Write a model file atomically, replacing what was there; tensors go to the CPU first."""
    weights = {name: tensor.detach().to("cpu") for name, tensor in state_dict.items()}
    write_tensor_file(path, {"config": dict(config), "statedict": weights})


def load_model_file(path: Path) -> LoadedModel:
    """Read a model file in any of its forms, or the checkpoint of a run.

    Raises UserError naming the file where it is missing, cut off, of another program, or would run code.
    """
    return model_of(path, *read_parts(path))


def model_of(path: Path, config: Any, weights: Any) -> LoadedModel:
    """The model that `read_parts` gave the parts of. Raises UserError, naming the file, where they do not fit."""
    return _assemble(path, config, weights)


def read_parts(path: Path) -> tuple[Any, Any]:
    """Config and weights as a model file or checkpoint says them: plain values, and tensors by name, not checked yet.

    Raises UserError as `load_model_file`.
    """
    content = _read(path)
    if "state_dict" in content:
        config, weights = _lightning_parts(path, content)
        return _with_origin(path, config, content["hyper_parameters"]), weights
    return _plain(path, content.get("config")), content.get("statedict")


def load_lightning_checkpoint(path: Path) -> tuple[dict[str, Any], StateDict]:
    """The config of a Lightning checkpoint and the weights of its network, without the prefix `model.`.

    Raises UserError naming the file as `load_model_file`, and where it is not a checkpoint of a training run.
    """
    content = _read(path)
    if "state_dict" not in content:
        kind = "a model file already" if "statedict" in content else "not a checkpoint of a training run"
        raise UserError(f"{path} is {kind}; give a checkpoint such as checkpoints/best.ckpt of a run.")
    return _lightning_parts(path, content)


def _read(path: Path) -> dict[str, Any]:
    path = require_file(weights_in(path), "model file")
    if path.suffix.lower() == ".onnx":
        raise UserError(f"{path} is an export, whose weights cannot be had; give the model file that it was made of.")
    if path.suffix.lower() == SUFFIX:
        config, weights = read_safetensors(path)
        return {"config": config, "statedict": weights}
    content = read_tensor_file(path, "model file")
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a model file: it holds a {type(content).__name__}, not config and statedict.")
    return content


def _plain(path: Path, config: object) -> Any:
    try:
        return plain_values(config)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _lightning_parts(path: Path, content: dict[str, Any]) -> tuple[dict[str, Any], StateDict]:
    hyper_parameters = content.get("hyper_parameters")
    config = hyper_parameters.get("config") if isinstance(hyper_parameters, Mapping) else None
    state_dict = content["state_dict"]
    if not isinstance(config, Mapping) or not isinstance(state_dict, Mapping):
        raise UserError(f"{path} is not a checkpoint of a training run: hyper_parameters.config is missing.")
    network = {
        name.removeprefix(NETWORK_PREFIX): tensor
        for name, tensor in state_dict.items()
        if isinstance(name, str) and name.startswith(NETWORK_PREFIX)
    }
    if not network:
        raise UserError(f"{path} holds no weights of a network (names that start with {NETWORK_PREFIX}).")
    return _plain(path, config), network


def _with_origin(path: Path, config: dict[str, Any], hyper_parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A config with what checkpoints of the operational programs say of their run, where nothing else does."""
    if "datetime" not in hyper_parameters or "provenance" in config:
        return config
    return config | {"provenance": _plain(path, {k: hyper_parameters[k] for k in OLDER_FACTS if k in hyper_parameters})}


def _assemble(path: Path, config: object, state_dict: object) -> LoadedModel:
    if not isinstance(state_dict, Mapping) or not all(
        isinstance(name, str) and torch.is_tensor(tensor) for name, tensor in state_dict.items()
    ):
        raise UserError(f"{path} is not a model file: it has no config and statedict.")
    try:
        facts = read_model_config(config)
        assert isinstance(config, Mapping)  # read_model_config has seen to it
        if facts.model_framework == ENSEMBLE:
            network: nn.Module = ensemble_network(config, facts, state_dict, _assemble)
        else:
            check_shapes(facts, state_dict)
            network = network_from_config(facts)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if facts.model_framework != ENSEMBLE:
        _load_weights(path, network, state_dict)
    return LoadedModel(
        network=tempered(network, facts.temperature).eval(),
        spec=facts.spec,
        classes=facts.classes,
        threshold=facts.threshold,
        patch_size=facts.patch_size,
        source=dict(facts.source),
        config=dict(config),
        fit=facts.fitting,
    )


def network_from_config(facts: ModelConfig) -> nn.Module:
    """The network that a config describes, with random weights. Raises UserError for names that do not exist."""
    arguments = facts.model
    check_names(arguments.arch, arguments.encoder_name)
    return create_from_arguments(
        arguments.arch, arguments.encoder_name, None, arguments.in_channels, arguments.classes, **arguments.further()
    )


def _load_weights(path: Path, network: nn.Module, state_dict: Mapping[str, torch.Tensor]) -> None:
    """Strictly: every weight, no other, each of its shape, all of them finite."""
    expected = network.state_dict()
    missing, further = sorted(expected.keys() - state_dict.keys()), sorted(state_dict.keys() - expected.keys())
    if missing or further:
        what = f"lacks {listing(missing, 2)}" if missing else f"has {listing(further, 2)} beyond the network's"
        raise UserError(f"{path}: its weights do not fit its config; it {what}.")
    try:
        network.load_state_dict(dict(state_dict))
    except RuntimeError as error:
        raise UserError(f"{path}: its weights do not fit its config: {str(error).splitlines()[-1].strip()}") from None
    bad = [name for name in _numbers_of(network) if not torch.isfinite(state_dict[name]).all()]
    if bad:
        raise UserError(f"{path}: weights {listing(bad, 2)} are not finite; the training of this network failed.")


def _numbers_of(network: nn.Module) -> list[str]:
    """Names of the parameters and running statistics; other buffers may hold infinities (masks of attention)."""
    names = [name for name, _ in network.named_parameters()]
    return names + [name for name, _ in network.named_buffers() if name.endswith(("running_mean", "running_var"))]
