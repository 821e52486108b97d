"""A model that makes maps, whatever file it came in: codes of a window go in, probabilities come out.

Both forms see exactly what the network saw in training: codes of the training encoding, normalised by one float32
multiply-add. The network returns logits; the one sigmoid or softmax is here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch

from darts_train.base.errors import UserError
from darts_train.base.files import require_file
from darts_train.inference.backends.onnx_runtime import CheckedSession, OnnxBackend, check_graph, open_session
from darts_train.inference.backends.protocol import Backend, Codes, Lanes, Logits
from darts_train.inference.backends.torch_network import TorchBackend
from darts_train.models.factory import check_patch_size, stride
from darts_train.models.facts import facts_of
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.models.locate import locate_model
from darts_train.models.model_file import LoadedModel, load_model_file
from darts_train.models.torch_device import torch_device
from darts_train.options.learning import Precision

ONNX_SUFFIX = ".onnx"


@dataclass(frozen=True)
class MapModel:
    """A network ready to make maps, and what it needs to know of a scene.

    `source` holds settings of the train data that say what a scene's bands mean (scale, offset, radii). `stride`:
    windows that start on multiples of it see the same of a pixel, pixels of the scene.
    """

    path: Path
    backend: Backend
    spec: InputSpecification
    classes: tuple[str, ...]
    threshold: float
    patch_size: int
    source: dict[str, Any]
    stride: int = 1

    def lanes(self, side: int, batch: int) -> Lanes:
        """How windows of `side` pixels are best given; `batch` at a time where the backend does not say."""
        lanes: Callable[[int, int], Lanes] | None = getattr(self.backend, "lanes", None)
        return lanes(side, batch) if lanes else Lanes(batch)

    @property
    def channels(self) -> int:
        """Probabilities per pixel: 1 for two classes, else one per class."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def probabilities(self, codes: Codes) -> Logits:
        """Codes uint16 [n, c, h, w] to probabilities float32 [n, k, h, w]: of the positive class, or of every class."""
        if isinstance(self.backend, TorchBackend):  # where its logits are, a device has the quicker sigmoid
            return self.backend.run(codes, activation)
        return activation(self.backend.logits(codes))

    def exact_logits(self, codes: Codes) -> Logits:
        """Logits float32 [n, k, h, w], in float32 where the backend may choose."""
        backend = replace(self.backend, autocast=None) if isinstance(self.backend, TorchBackend) else self.backend
        return backend.logits(codes)

    def decide(self, probabilities: npt.NDArray[Any], threshold: float | None = None) -> npt.NDArray[np.uint8]:
        """Class index uint8 [...] of probabilities [k, ...]: above the threshold, or the most probable class."""
        if self.channels > 1:
            return np.asarray(probabilities.argmax(axis=0), np.uint8)
        return np.asarray(probabilities[0] > (self.threshold if threshold is None else threshold), np.uint8)


@overload
def activation(logits: torch.Tensor) -> torch.Tensor: ...
@overload
def activation(logits: Logits) -> Logits: ...
def activation(logits: Any) -> Any:
    """Sigmoid over one channel, softmax over several (axis 1), float32, without overflow; of an array or a tensor."""
    if isinstance(logits, torch.Tensor):
        return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(dim=1)
    if logits.shape[1] == 1:
        small = np.exp(-np.abs(logits))
        return np.asarray(np.where(logits >= 0, np.float32(1), small) / (1 + small), np.float32)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def open_model(
    place: Path, window_size: int | None, device: str | None, precision: Precision = "auto"
) -> tuple[MapModel, int]:
    """The model that `place` means, and the side of its windows.

    Args:
        place: model file, run or cross-validation directory, or ONNX file.
        window_size: wanted side of the windows, pixels; None: the patch size of training.
        device: where the network runs, torch's or ONNX Runtime's.
        precision: arithmetic of a network in torch; an ONNX file has its own.

    Raises UserError where the file cannot be read, the network cannot take the size, or was trained on values that
    cannot be made from a scene.
    """
    path = locate_model(place)
    if path.suffix.lower() == ONNX_SUFFIX:
        model, size = _open_onnx(path, window_size, device)
    else:
        model, size = _open_torch(path, window_size, device, precision)
    check_units(path, model.spec)
    return model, size


def check_units(name: object, spec: InputSpecification) -> None:
    """Raise UserError where a network was trained on values that cannot be made from a scene."""
    if all((band.scale, band.offset, band.low, band.high) == (1, 0, 0, 1) for band in spec.bands):
        raise UserError(f"{name} was trained on values without units, so no scene can be put before it.")


def _open_torch(path: Path, window_size: int | None, device: str | None, precision: Precision) -> tuple[MapModel, int]:
    place = torch_device(device)
    loaded: LoadedModel = load_model_file(path)
    size = window_size or loaded.patch_size
    check_patch_size(loaded.arch, loaded.encoder, loaded.fit.side(size), "--window-size", loaded.options)
    layer = InputLayer(loaded.spec, loaded.fit.marked)
    backend = TorchBackend.on(place, loaded.whole, layer, precision)
    facts = (loaded.spec, loaded.classes, loaded.threshold, loaded.patch_size, loaded.source)
    step = loaded.fit.stride(stride(loaded.arch, loaded.encoder, loaded.options))
    return MapModel(path, backend, *facts, step), size


def _open_onnx(path: Path, window_size: int | None, device: str | None) -> tuple[MapModel, int]:
    session, said = open_session(require_file(path, "--model"), device)
    if said.get("sidecar"):
        raise UserError(f"{path} was made for {said['sidecar']}, which prepares images otherwise; give its model file.")
    facts = facts_of(said, path)
    size = window_size or facts.patch_size
    side = facts.fit.side(size)
    if side % facts.stride or (side != facts.fit.side(facts.patch_size) and not facts.free_sizes):
        allowed = f"multiples of {facts.stride}" if facts.free_sizes else f"{facts.patch_size} only"
        raise UserError(f"--window-size: {size} does not fit {path.name}; it takes {allowed}.")
    check_graph(path, session, len(facts.spec.bands), facts.channels)
    checked = CheckedSession(path, session, facts.channels)
    backend = OnnxBackend(checked, facts.spec, facts.fit, facts.graph_input, facts.graph_activation)
    of_map = (facts.spec, facts.classes, facts.threshold, facts.patch_size, facts.source)
    return MapModel(path, backend, *of_map, facts.fit.stride(facts.grid(side))), size
