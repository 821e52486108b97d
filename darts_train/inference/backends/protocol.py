"""What runs a network, whatever file or machine it is on: codes of windows go in, logits come out."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint16]
Logits = npt.NDArray[np.float32]


class Backend(Protocol):
    """What runs a network."""

    def logits(self, codes: Codes) -> Logits:
        """Codes uint16 [n, c, h, w] to logits float32 [n, k, h, w]; k is 1 for two classes."""
        ...
