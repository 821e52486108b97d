"""A network in torch."""

from dataclasses import dataclass

import numpy as np
import torch

from darts_train.inference.backends.protocol import Codes, Logits
from darts_train.models.input_spec import InputLayer


@dataclass(frozen=True)
class TorchBackend:
    """A network in torch, on one device."""

    network: torch.nn.Module
    layer: InputLayer
    device: torch.device

    def logits(self, codes: Codes) -> Logits:
        """See `Backend.logits`; float32 whatever the device."""
        with torch.inference_mode():
            x = torch.from_numpy(codes.view(np.int16)).to(self.device)
            found: Logits = self.network(self.layer(x)).float().cpu().numpy()
        return found
