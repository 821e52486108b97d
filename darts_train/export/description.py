"""What another program must know to use an exported network, whatever its format."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch

from darts_train import __version__
from darts_train.models.factory import stride
from darts_train.models.model_file import LoadedModel


def describe(model: LoadedModel, difference: float, free: bool) -> dict[str, Any]:
    """Everything that another program must know to use the network; keys as in the model file, and a few more."""
    return {
        **model.spec.to_config(),
        "classes": list(model.classes),
        "threshold": model.threshold,
        "patch_size": model.patch_size,
        **({} if model.fit.kind == "tile" else {"fit": model.fit.kind, "fit_size": model.fit.size}),
        "source": model.source,
        "stride": stride(model.arch, model.encoder, model.options),
        "free_sizes": free,
        "activation": "sigmoid" if len(model.classes) == 2 else "softmax",
        "arch": model.arch,
        "encoder": model.encoder,
        "max_difference": difference,
        "weights_hash": weights_hash(model.network.state_dict()),
        "darts_train_version": __version__,
    }


def weights_hash(state_dict: Mapping[str, torch.Tensor]) -> str:
    """BLAKE2b over names, types, shapes and bytes of all weights; the same for the same network in any file."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(state_dict.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
