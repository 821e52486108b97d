"""What turns codes into probabilities: torch, or ONNX Runtime for an exported file.

Both take uint16 codes and give the same numbers to within the export's tolerance. The sigmoid or softmax is here,
once, in NumPy, for both.
"""

import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit, softmax

from darts_train.base.errors import UserError
from darts_train.models.factory import check_patch_size
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.models.model_file import load_model_file
from darts_train.models.torch_device import torch_device

Codes = npt.NDArray[np.uint16]
Floats = npt.NDArray[np.float32]
_CUDA_PROVIDER = "CUDAExecutionProvider"


class Backend(Protocol):
    """A model ready to be run, and what it says of itself (as `LoadedModel`)."""

    spec: InputSpecification
    classes: tuple[str, ...]
    threshold: float
    patch_size: int
    source: dict[str, Any]

    def logits(self, codes: Codes) -> Floats:
        """Logits float32 [n, k, h, w] of codes uint16 [n, c, h, w]; k is 1 for two classes, else one per class."""
        ...

    def check_window(self, size: int) -> None:
        """Raise UserError where the network does not take windows of this size."""
        ...


def probabilities(logits: Floats) -> Floats:
    """Logits [n, k, h, w] → float32 of the same shape: of the positive class for k = 1, else softmax over k."""
    values = expit(logits) if logits.shape[1] == 1 else softmax(logits, axis=1)
    return np.asarray(values, np.float32)


def open_backend(path: Path, device: str | None) -> Backend:
    """The backend for a model file, a checkpoint or an ONNX file.

    Raises UserError naming the file where it cannot be used, or the device where there is none of that name.
    """
    if path.suffix.lower() == ".onnx":
        return OnnxBackend(path, device)
    return TorchBackend(path, device)


class TorchBackend:
    """The network in torch, float32. Codes are normalised on the device, as in training."""

    def __init__(self, path: Path, device: str | None) -> None:
        self.device = torch_device(device)
        self.model = load_model_file(path)
        self.spec, self.classes = self.model.spec, self.model.classes
        self.threshold, self.patch_size, self.source = self.model.threshold, self.model.patch_size, self.model.source
        self._network = self.model.network.to(self.device)
        self._input = InputLayer(self.spec).to(self.device)

    def logits(self, codes: Codes) -> Floats:
        """See `Backend.logits`."""
        with torch.inference_mode():
            image = self._input(torch.from_numpy(codes.view(np.int16)).to(self.device))
            logits: Floats = self._network(image).float().cpu().numpy()
        return logits

    def check_window(self, size: int) -> None:
        """See `Backend.check_window`."""
        check_patch_size(self.model.arch, self.model.encoder, size, "--window-size")


class OnnxBackend:
    """An exported network in ONNX Runtime; its metadata say how it is fed."""

    def __init__(self, path: Path, device: str | None) -> None:
        self._session = _open_session(path, device)
        facts = _metadata(path, self._session)
        try:
            self.spec = InputSpecification.from_config(facts)
            self.classes = tuple(str(name) for name in facts["classes"])
            self.threshold, self.patch_size = float(facts["threshold"]), int(facts["patch_size"])
            self.source = dict(facts["source"])
            self._stride, self._free = int(facts["stride"]), bool(facts["free_sizes"])
        except (KeyError, TypeError, ValueError, UserError) as error:
            raise UserError(f"{path} was not written by export-model: {error} cannot be read.") from None

    def logits(self, codes: Codes) -> Floats:
        """See `Backend.logits`."""
        logits: Floats = self._session.run(["logits"], {"image": self.spec.normalise(codes)})[0]
        return logits

    def check_window(self, size: int) -> None:
        """See `Backend.check_window`."""
        if not self._free and size != self.patch_size:
            raise UserError(f"--window-size: this ONNX file takes {self.patch_size} pixels only, not {size}.")
        if size % self._stride:
            below, above = size - size % self._stride, size + self._stride - size % self._stride
            nearest = " and ".join(str(number) for number in (below, above) if number)
            raise UserError(f"--window-size: {size} is no multiple of {self._stride}; nearest: {nearest}.")


def _open_session(path: Path, device: str | None) -> Any:
    import onnxruntime

    if not path.is_file():
        raise UserError(f"--model: {path} does not exist.")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its warnings are about its own optimiser
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=_providers(onnxruntime, device))
    except UserError:
        raise
    except Exception as error:  # the runtime raises classes of its own that share nothing but Exception
        raise UserError(f"--model: {path} is no ONNX file that can be run here, or it is cut off.") from error


def _providers(onnxruntime: Any, device: str | None) -> list[Any]:
    has_cuda = _CUDA_PROVIDER in onnxruntime.get_available_providers()
    chosen = torch_device(device)
    if chosen.type == "cpu" or (device in (None, "auto") and not has_cuda):
        return ["CPUExecutionProvider"]
    if not has_cuda:
        raise UserError(f"--device: this ONNX Runtime has no {device}; use cpu, or the model file instead of ONNX.")
    return [(_CUDA_PROVIDER, {"device_id": chosen.index or 0}), "CPUExecutionProvider"]


def _metadata(path: Path, session: Any) -> dict[str, Any]:
    """The metadata of a model, JSON read where it is JSON."""
    names = ([value.name for value in session.get_inputs()], [value.name for value in session.get_outputs()])
    texts = session.get_modelmeta().custom_metadata_map
    if names != (["image"], ["logits"]) or "bands" not in texts:
        raise UserError(f"--model: {path} was not written by export-model: it does not say its bands.")
    facts: dict[str, Any] = {}
    for key, text in texts.items():
        try:
            facts[key] = json.loads(text)
        except ValueError:
            facts[key] = text
    return facts
