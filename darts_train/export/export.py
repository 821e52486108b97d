"""A model in another program's format: the command export-model."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from darts_train import __version__
from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path, require_writable
from darts_train.base.log import logger
from darts_train.export.onnx import check_opset, set_metadata, to_onnx
from darts_train.models.factory import stride
from darts_train.models.locate import locate_model
from darts_train.models.model_file import LoadedModel, load_model_file
from darts_train.options.exporting import Export

_log = logger("export")


@dataclass(frozen=True)
class ExportResult:
    """What was written. `max_difference` is that of logits from torch's, relative to the largest where above 1."""

    path: Path
    model: Path
    max_difference: float
    free_sizes: bool
    megabytes: float

    def summary(self) -> str:
        """A few lines for the terminal."""
        sizes = "any batch, height and width" if self.free_sizes else "any batch, patches of one size"
        return (
            f"{self.path} ({self.megabytes:.1f} MB, {sizes})\nlargest difference from torch: {self.max_difference:.2g}"
        )


def export_model(export: Export) -> ExportResult:
    """Write a model as ONNX, after comparing it with the original in ONNX Runtime.

    The model may be a model file, a run, or a cross-validation (its best run).

    Raises:
        UserError: before any work where the file is there already, the model cannot be read, or the operator set
            cannot be written.
        ExportError: the exported network says something else than the original. Nothing is written.
    """
    if export.out.is_dir():
        raise UserError(f"--out: {export.out} is a directory; name the file.")
    if export.out.exists() and not export.overwrite:
        raise UserError(f"--out: {export.out} is there already; give --overwrite to replace it.")
    require_writable(export.out.parent, "--out")
    check_opset(export.opset)
    source = locate_model(export.model)
    model = load_model_file(source)
    proto, difference, free = to_onnx(model, export.opset)
    set_metadata(proto, describe(model, difference, free))
    with atomic_path(export.out) as temporary:
        temporary.write_bytes(proto.SerializeToString())
    _log.debug("%s exported to %s", source, export.out)
    return ExportResult(export.out, source, difference, free, export.out.stat().st_size / 1e6)


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
