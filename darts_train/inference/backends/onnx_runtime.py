"""A network in ONNX Runtime."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from darts_train.inference.backends.protocol import Codes, Logits
from darts_train.models.fit import Fit
from darts_train.models.input_spec import InputSpecification
from darts_train.raster.band import NODATA
from darts_train.raster.encoding import decode


@dataclass(frozen=True)
class OnnxBackend:
    """A network in ONNX Runtime, on the CPU.

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


def as_logits(probabilities: Logits) -> Logits:
    """Logits float32 [n, k, h, w] of which sigmoid (k = 1) or softmax makes these probabilities; -inf for 0."""
    with np.errstate(divide="ignore"):
        found = np.log(probabilities)
        return found - np.log1p(-probabilities) if probabilities.shape[1] == 1 else found
