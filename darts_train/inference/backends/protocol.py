"""What runs a network, whatever file or machine it is on: codes of windows go in, logits come out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint16]
Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Lanes:
    """How windows are best given to a backend.

    `count` calls at the same time, each by a thread of its own and with up to `windows` windows; `threads` are torch's
    within each of them, None where it has none or they are right as they are.
    """

    windows: int
    count: int = 1
    threads: int | None = None


class Backend(Protocol):
    """What runs a network. One that wants more than a call at a time has `lanes(side, batch)`, see `Lanes`."""

    def logits(self, codes: Codes) -> Logits:
        """Codes uint16 [n, c, h, w] to logits float32 [n, k, h, w]; k is 1 for two classes."""
        ...
