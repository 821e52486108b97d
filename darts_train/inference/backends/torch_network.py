"""A network in torch, its channels last: what matrix units want, and on a CPU a fifth quicker for most networks.

On a CUDA device: in bfloat16 (autocast); codes are normalised in float32 before, and logits are float32 after. Two
batches are in work, so that one is copied while the other is computed.

On a CPU: in float32, and large windows one by one, as many at a time as a batch has, the cores shared out between them:
with two cores a tenth quicker than every operation shared out, and nobody waits for the last window of a batch. What a
network holds of a batch is many times the batch.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from darts_train.base.errors import UserError
from darts_train.inference.backends.protocol import Codes, Lanes, Logits
from darts_train.models.cpu_threads import one_by_one
from darts_train.models.input_spec import InputLayer
from darts_train.options.learning import Precision

_WORTH_A_THREAD = 2**16  # pixels of a window
_TYPES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


@dataclass(frozen=True)
class TorchBackend:
    """A network in torch, on one device; `autocast`: the type of its inner arithmetic, None for float32."""

    network: torch.nn.Module
    layer: InputLayer
    device: torch.device
    autocast: torch.dtype | None = None

    @classmethod
    def on(
        cls, device: torch.device, network: torch.nn.Module, layer: InputLayer, precision: Precision = "auto"
    ) -> "TorchBackend":
        """Network and input layer, moved to a device. Raises UserError for an arithmetic that it does not have."""
        autocast = _autocast(device, precision)
        network = network.to(device).to(memory_format=torch.channels_last)
        return cls(network, layer.to(device), device, autocast)

    def lanes(self, side: int, batch: int) -> Lanes:
        """How windows of `side` pixels are best given, `batch` of them at most in work at a time on a CPU."""
        if self.device.type == "cuda":
            return Lanes(batch, 2)
        cores = torch.get_num_threads()
        count = min(cores, batch)
        if side**2 < _WORTH_A_THREAD or count == 1:
            return Lanes(batch)
        return Lanes(1, count, cores // count)

    def logits(self, codes: Codes) -> Logits:
        """See `Backend.logits`; float32 whatever the device."""
        return self.run(codes, lambda logits: logits)

    def run(self, codes: Codes, then: Callable[[torch.Tensor], torch.Tensor]) -> Logits:
        """What `then`, on the device, makes of the logits float32 [n, k, h, w] of codes uint16 [n, c, h, w]."""
        x = torch.from_numpy(codes.view(np.int16))
        if self.device.type != "cpu" or x[0, 0].numel() < _WORTH_A_THREAD:
            return self._run(x, then)
        found: dict[int, Logits] = {}
        one_by_one(lambda i: found.update({i: self._run(x[i : i + 1], then)}), range(len(x)), shared=True)
        return np.concatenate([found[i] for i in range(len(x))])

    def _run(self, x: torch.Tensor, then: Callable[[torch.Tensor], torch.Tensor]) -> Logits:
        kind, lower = self.device.type, self.autocast is not None
        with torch.inference_mode():
            image = self.layer(x.to(self.device)).contiguous(memory_format=torch.channels_last)
            with torch.autocast(kind, self.autocast, enabled=lower):
                logits = self.network(image)
            found: Logits = then(logits.float()).cpu().numpy()
        return found


def _autocast(device: torch.device, precision: Precision) -> torch.dtype | None:
    """The type of the inner arithmetic; `auto`: bfloat16 on a CUDA device that has it. Raises UserError."""
    if precision == "auto":
        has = device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 8
        return torch.bfloat16 if has else None
    if precision == "16-mixed" and device.type == "cpu":
        raise UserError("--precision: 16-mixed needs a CUDA device; use bf16-mixed or 32 on the CPU.")
    return _TYPES.get(precision)
