"""A model that makes maps, whatever file it came in: codes of a window go in, probabilities come out.

Both forms see exactly what the network saw in training: codes of the training encoding, normalised by one float32
multiply-add. The network returns logits; the one sigmoid or softmax is here.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from darts_train.base.errors import UserError
from darts_train.base.files import require_file
from darts_train.inference.backends.onnx_runtime import OnnxBackend
from darts_train.inference.backends.protocol import Backend, Codes, Logits
from darts_train.inference.backends.torch_network import TorchBackend
from darts_train.models.factory import check_patch_size
from darts_train.models.fit import Fit
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.models.locate import locate_model
from darts_train.models.model_file import LoadedModel, load_model_file
from darts_train.models.torch_device import torch_device

ONNX_SUFFIX = ".onnx"


@dataclass(frozen=True)
class MapModel:
    """A network ready to make maps, and what it needs to know of a scene.

    `source` holds settings of the train data that say what a scene's bands mean (scale, offset, radii). `stride`:
    window sides must be a multiple of it; `fixed_size`: the only side the network takes, where there is one.
    """

    path: Path
    backend: Backend
    spec: InputSpecification
    classes: tuple[str, ...]
    threshold: float
    patch_size: int
    source: dict[str, Any]

    @property
    def channels(self) -> int:
        """Probabilities per pixel: 1 for two classes, else one per class."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    def probabilities(self, codes: Codes) -> Logits:
        """Codes uint16 [n, c, h, w] to probabilities float32 [n, k, h, w]: of the positive class, or of every class."""
        return activation(self.backend.logits(codes))

    def decide(self, probabilities: npt.NDArray[Any], threshold: float | None = None) -> npt.NDArray[np.uint8]:
        """Class index uint8 [...] of probabilities [k, ...]: above the threshold, or the most probable class."""
        if self.channels > 1:
            return np.asarray(probabilities.argmax(axis=0), np.uint8)
        return np.asarray(probabilities[0] > (self.threshold if threshold is None else threshold), np.uint8)


def activation(logits: Logits) -> Logits:
    """Sigmoid over one channel, softmax over several (axis 1), float32, without overflow."""
    if logits.shape[1] == 1:
        return np.asarray(np.exp(-np.logaddexp(np.float32(0), -logits)), np.float32)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def open_model(place: Path, window_size: int | None, device: str | None) -> tuple[MapModel, int]:
    """The model that `place` means, and the side of its windows.

    Args:
        place: model file, run or cross-validation directory, or ONNX file.
        window_size: wanted side of the windows, pixels; None: the patch size of training.
        device: where torch runs; ONNX Runtime runs on the CPU.

    Raises UserError where the file cannot be read, the network cannot take the size, or was trained on values that
    cannot be made from a scene.
    """
    path = locate_model(place)
    model, size = (_open_onnx if path.suffix.lower() == ONNX_SUFFIX else _open_torch)(path, window_size, device)
    if all((band.scale, band.offset, band.low, band.high) == (1, 0, 0, 1) for band in model.spec.bands):
        raise UserError(f"{path} was trained on values without units, so no scene can be put before it.")
    return model, size


def _open_torch(path: Path, window_size: int | None, device: str | None) -> tuple[MapModel, int]:
    place = torch_device(device)
    loaded: LoadedModel = load_model_file(path)
    size = window_size or loaded.patch_size
    check_patch_size(loaded.arch, loaded.encoder, loaded.fit.side(size), "--window-size", loaded.options)
    layer = InputLayer(loaded.spec, loaded.fit.marked)
    backend = TorchBackend(loaded.whole.to(place), layer.to(place), place)
    facts = (loaded.spec, loaded.classes, loaded.threshold, loaded.patch_size, loaded.source)
    return MapModel(path, backend, *facts), size


def _open_onnx(path: Path, window_size: int | None, device: str | None) -> tuple[MapModel, int]:
    if torch_device(device).type != "cpu" and device not in (None, "auto"):
        raise UserError(f"--device: an ONNX file runs on the CPU here, not on {device}.")
    session, facts = _read_onnx(require_file(path, "--model"))
    if facts.get("sidecar"):
        raise UserError(
            f"{path} was made for {facts['sidecar']}, which prepares images otherwise; give its model file."
        )
    try:
        spec = InputSpecification.from_config(facts)
        patch_size, stride = int(facts["patch_size"]), int(facts["stride"])
        classes, threshold = tuple(facts["classes"]), float(facts["threshold"])
        fit = Fit(facts.get("fit", "tile"), int(facts.get("fit_size", patch_size)), patch_size, spec.nodata_fill)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its metadata lack {error}; export it with darts export-model.") from None
    except UserError as error:
        raise UserError(f"{path}: {error} Export it with darts export-model.") from None
    size = window_size or patch_size
    side = fit.side(size)
    stride = 1 if facts.get("graph_padding") else stride
    if side % stride or (side != fit.side(patch_size) and not facts.get("free_sizes")):
        allowed = f"multiples of {stride}" if facts.get("free_sizes") else f"{patch_size} only"
        raise UserError(f"--window-size: {size} does not fit {path.name}; it takes {allowed}.")
    source = dict(facts.get("source") or {})
    graph = (str(facts.get("graph_input", "normalised")), bool(facts.get("graph_activation")))
    return MapModel(path, OnnxBackend(session, spec, fit, *graph), spec, classes, threshold, patch_size, source), size


def _read_onnx(path: Path) -> tuple[Any, dict[str, Any]]:
    """A session and the metadata of an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures come as exceptions
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises classes of its own that share nothing but Exception
        raise UserError(f"{path} is no ONNX model that can be run ({' '.join(str(error).split())[:120]}).") from None
    texts = session.get_modelmeta().custom_metadata_map
    return session, {key: _plain(text) for key, text in texts.items()}


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
