"""A network in ONNX Runtime."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from darts_train.inference.backends.protocol import Codes, Logits
from darts_train.models.fit import Fit
from darts_train.models.input_spec import InputSpecification
from darts_train.raster.band import NODATA


@dataclass(frozen=True)
class OnnxBackend:
    """A network in ONNX Runtime, on the CPU."""

    session: Any
    spec: InputSpecification
    fit: Fit

    def logits(self, codes: Codes) -> Logits:
        """See `Backend.logits`."""
        x = self.spec.normalise(codes)
        if self.fit.kind == "tile":
            return self._run(x)
        if self.fit.marked:
            x[codes == NODATA] = np.nan
        logits = torch.from_numpy(self._run(self.fit.image(torch.from_numpy(x)).numpy()))
        fitted: Logits = self.fit.logits(logits, *codes.shape[-2:]).numpy()
        return fitted

    def _run(self, image: npt.NDArray[np.float32]) -> Logits:
        name = self.session.get_inputs()[0].name
        found: Logits = self.session.run(None, {name: image})[0]
        return found
