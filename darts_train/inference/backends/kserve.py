"""A network on a server that speaks KServe v2: normalised windows go there, logits come back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from darts_train.base.errors import UserError
from darts_train.inference.backends.protocol import Codes, Logits
from darts_train.inference.kserve.agreement import Agreement
from darts_train.inference.kserve.patience import Patience
from darts_train.inference.kserve.protocol import Client
from darts_train.models.facts import ModelFacts
from darts_train.raster.band import NODATA

FLOATS = {"FP32": np.float32, "FP16": np.float16}


@dataclass
class KserveBackend:
    """A network on a server. Windows of one call go in as many requests as `concurrent` says, at the same time."""

    client: Client
    name: str
    version: str
    facts: ModelFacts
    agreement: Agreement
    patience: Patience
    concurrent: int = 1
    _pool: ThreadPoolExecutor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.concurrent, "darts-request")

    def close(self) -> None:
        """End the threads; requests that have not begun are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def logits(self, codes: Codes) -> Logits:
        """See `Backend.logits`. Raises UserError where the server does not answer, or answers nonsense."""
        x, fit = self.facts.spec.normalise(codes), self.facts.fit
        if fit.kind == "tile":
            return self._send(x)
        if fit.marked:
            x[codes == NODATA] = np.nan
        found = torch.from_numpy(self._send(fit.image(torch.from_numpy(x)).numpy()))
        fitted: Logits = fit.logits(found, *codes.shape[-2:]).numpy()
        return fitted

    def _send(self, image: npt.NDArray[np.float32]) -> Logits:
        together = -(-len(image) // self.concurrent)
        together = min(together, self.agreement.most or together)
        parts = [image[first : first + together] for first in range(0, len(image), together)]
        if len(parts) == 1 or self.concurrent == 1:
            return np.concatenate([self._request(part) for part in parts])
        return np.concatenate(list(self._pool.map(self._request, parts)))

    def _request(self, image: npt.NDArray[np.float32]) -> Logits:
        facts, agreement = self.facts, self.agreement
        tensor = np.ascontiguousarray(image, FLOATS[agreement.datatype])
        names = (agreement.input, agreement.output)
        ask: Callable[[], npt.NDArray[np.floating]] = lambda: self.client.infer(  # noqa: E731
            self.name, self.version, tensor, names, agreement.datatype
        )
        found = self.patience.ask(ask)
        wanted = (len(image), facts.channels, *image.shape[2:])
        if found.shape != wanted:
            raise UserError(
                f"--model-name: {self.name} on {self.client.url} answers {agreement.output} of {list(found.shape)}, "
                f"not {list(wanted)}; nothing of this scene was kept."
            )
        if np.isnan(found).any():
            raise UserError(f"--model-name: {self.name} on {self.client.url} answers values that are no numbers (NaN).")
        return np.asarray(found, np.float32)
