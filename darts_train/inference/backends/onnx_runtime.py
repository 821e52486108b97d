"""A network in ONNX Runtime: on a CUDA device where the installed runtime has one, else on the CPU."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from darts_train.base.errors import UserError
from darts_train.inference.backends.protocol import Codes, Logits
from darts_train.models.facts import plain_value
from darts_train.models.fit import Fit
from darts_train.models.input_spec import InputSpecification
from darts_train.raster.band import NODATA
from darts_train.raster.encoding import decode

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@dataclass(frozen=True)
class OnnxBackend:
    """A network in ONNX Runtime.

    `graph_input` is what the graph takes (`--graph-input`), `activated` whether it gives probabilities.
    """

    session: Any
    spec: InputSpecification
    fit: Fit
    graph_input: str = "normalised"
    activated: bool = False

    def logits(self, codes: Codes) -> Logits:
        """See `Backend.logits`."""
        found = self._logits(codes)
        return as_logits(found) if self.activated else found

    def _logits(self, codes: Codes) -> Logits:
        if self.graph_input != "normalised":
            return self._of_values(codes)
        x = self.spec.normalise(codes)
        if self.fit.kind == "tile":
            return self._run(x)
        if self.fit.marked:
            x[codes == NODATA] = np.nan
        logits = torch.from_numpy(self._run(self.fit.image(torch.from_numpy(x)).numpy()))
        fitted: Logits = self.fit.logits(logits, *codes.shape[-2:]).numpy()
        return fitted

    def _of_values(self, codes: Codes) -> Logits:
        """Logits of a graph that normalises by itself, and knows what no data is."""
        if self.graph_input == "codes":
            x = codes.astype(np.float32)
        else:
            x = np.stack([decode(patch, self.spec.bands) for patch in codes])
        fit = replace(self.fit, fill=np.nan)  # which is padded, never resampled
        fitted: Logits = fit.logits(
            torch.from_numpy(self._run(fit.image(torch.from_numpy(x)).numpy())), *codes.shape[-2:]
        ).numpy()
        return fitted

    def _run(self, image: npt.NDArray[np.float32]) -> Logits:
        name = self.session.get_inputs()[0].name
        found: Logits = self.session.run(None, {name: image})[0]
        return found


@dataclass(frozen=True)
class CheckedSession:
    """A session of a file from outside: what fails in it, or comes back in another shape, is a UserError."""

    path: Path
    session: Any
    channels: int

    def get_inputs(self) -> Any:
        """Those of the session."""
        return self.session.get_inputs()

    def run(self, names: None, given: dict[str, npt.NDArray[np.float32]]) -> list[Logits]:
        """As ONNX Runtime's, of one image [n, c, h, w]."""
        (image,) = given.values()
        try:
            found: list[Logits] = self.session.run(names, given)
        except Exception as error:  # the runtime's own, as in `open_session`
            raise UserError(f"{self.path} failed on {list(image.shape)}: {_brief(error)}.") from None
        wanted = (len(image), self.channels, *image.shape[2:])
        if found[0].shape != wanted:
            raise UserError(f"{self.path} gave {list(found[0].shape)} for {list(image.shape)}, not {list(wanted)}.")
        return found


def check_graph(path: Path, session: Any, bands: int, channels: int) -> None:
    """Raise UserError where a graph is not that of the network that its file speaks of."""
    taken, given = session.get_inputs(), session.get_outputs()
    known = len(taken) == 1 and len(given) > 0
    if not (known and _fits(taken[0].shape, bands) and _fits(given[0].shape, channels)):
        shapes = [[list(one.shape) for one in ones] for ones in (taken, given)]
        raise UserError(
            f"{path} speaks of {bands} bands and {channels} channels of logits; its graph takes {str(shapes[0])[:80]} "
            f"and gives {str(shapes[1])[:80]}."
        )


def _fits(shape: Any, channels: int) -> bool:
    """Whether [n, channels, h, w] goes with declared sides, which are texts where they are free."""
    return not shape or (len(shape) == 4 and (shape[1] == channels or not isinstance(shape[1], int)))


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:120].rstrip(".")


def as_logits(probabilities: Logits) -> Logits:
    """Logits float32 [n, k, h, w] of which sigmoid (k = 1) or softmax makes these probabilities; -inf for 0."""
    with np.errstate(divide="ignore"):
        found = np.log(probabilities)
        return found - np.log1p(-probabilities) if probabilities.shape[1] == 1 else found


def providers(device: str | None, available: list[str]) -> list[Any]:
    """What ONNX Runtime shall run on, first choice first, for a `--device`.

    `auto`: its CUDA provider where it has one. The CPU comes last always, for operations that a device lacks.
    Raises UserError where a CUDA device is asked for and the runtime has none.
    """
    name = (device or "auto").strip().lower()
    if name == "cpu" or (name == "auto" and CUDA not in available):
        return [CPU]
    number = "0" if name in ("auto", "cuda") else name.removeprefix("cuda:")
    if not number.isdecimal():
        raise UserError(f"--device: there is no {device}; use auto, cpu, a CUDA index (0) or cuda:1.")
    if CUDA not in available:
        raise UserError(
            f"--device: the ONNX Runtime installed here runs on the CPU, not on {device} (onnxruntime-gpu)."
        )
    return [(CUDA, {"device_id": int(number)}), CPU]


def open_session(path: Path, device: str | None = None) -> tuple[Any, dict[str, Any]]:
    """A session of an ONNX file and its metadata. Raises UserError where it cannot be run, or not there."""
    import onnxruntime

    wanted = providers(device, onnxruntime.get_available_providers())
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures come as exceptions
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=wanted)
    except Exception as error:  # the runtime raises classes of its own that share nothing but Exception
        raise UserError(f"{path} is no ONNX model that can be run ({_brief(error)}).") from None
    texts = session.get_modelmeta().custom_metadata_map
    return session, {key: plain_value(text) for key, text in texts.items()}
