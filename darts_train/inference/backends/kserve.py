"""A network on a server that speaks KServe v2: images of windows go there, logits come back."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from darts_train.base.errors import UserError
from darts_train.inference.backends.onnx_runtime import OnnxBackend
from darts_train.inference.backends.protocol import Codes, Lanes, Logits
from darts_train.inference.kserve.agreement import Agreement
from darts_train.inference.kserve.patience import Patience
from darts_train.inference.kserve.protocol import Client
from darts_train.models.facts import ModelFacts

FLOATS = {"FP32": np.float32, "FP16": np.float16}
Image = npt.NDArray[np.float32]


@dataclass
class RemoteSession:
    """A network on a server, where `OnnxBackend` has a session of ONNX Runtime; threads may share it.

    Images of one call go in as many requests as `concurrent` says, and no more than these are in work at once.
    """

    client: Client
    name: str
    version: str
    channels: int
    agreement: Agreement
    patience: Patience
    concurrent: int = 1
    _pool: ThreadPoolExecutor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.concurrent, "darts-request")

    def close(self) -> None:
        """End the threads; requests that have not begun are dropped, and none is sent again."""
        self.patience.over.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def get_inputs(self) -> Sequence[Agreement]:
        """As ONNX Runtime: what goes in, each with its `name`."""
        return (self.agreement,)

    def run(self, _: object, given: Mapping[str, Image]) -> list[Logits]:
        """As ONNX Runtime: the outputs for the inputs by name. Raises UserError for no answer, or nonsense."""
        (image,) = given.values()
        together = -(-len(image) // self.concurrent)
        together = self.agreement.batch or min(together, self.agreement.most or together)
        parts = [image[first : first + together] for first in range(0, len(image), together)]
        return [np.concatenate(list(self._pool.map(self._request, parts)))]

    def _request(self, image: Image) -> Logits:
        agreement, count = self.agreement, len(image)
        if agreement.batch:
            image = np.pad(image, ((0, agreement.batch - count), (0, 0), (0, 0), (0, 0)))
        tensor = np.ascontiguousarray(image, FLOATS[agreement.datatype])
        names = (agreement.name, agreement.output)

        def ask() -> npt.NDArray[Any]:
            return self.client.infer(self.name, self.version, tensor, names, agreement.datatype)

        found = self.patience.ask(ask)
        wanted = (len(image), self.channels, *image.shape[2:])
        where = f"--model-name: {self.name} on {self.client.url} answers"
        if found.shape != wanted or found.dtype.kind != "f":
            raise UserError(f"{where} {agreement.output} of {found.dtype} {list(found.shape)}, not {list(wanted)}.")
        if np.isnan(found).any():
            raise UserError(f"{where} values that are no numbers (NaN).")
        return np.asarray(found[:count], np.float32)


class KserveBackend:
    """A network on a server; see `Backend`."""

    def __init__(self, session: RemoteSession, facts: ModelFacts, served: str | None = None) -> None:
        """`served`: what tells the network from others of its name."""
        self.session, self.served = session, served
        self._images = OnnxBackend(session, facts.spec, facts.fit, facts.graph_input, facts.graph_activation)

    def lanes(self, side: int, batch: int) -> Lanes:
        """As many batches at a time as requests."""
        return Lanes(batch, self.session.concurrent)

    def logits(self, codes: Codes) -> Logits:
        """See `Backend.logits`. Raises UserError where the server does not answer, or answers nonsense."""
        return self._images.logits(codes)
