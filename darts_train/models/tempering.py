"""The temperature of a calibrated network: its logits are divided by it, here and nowhere else.

Guo et al. 2017 (On calibration of modern neural networks). It is a part of the network, so maps, tests and exports need
not know of it; it is no weight, so a state dict is the one of the network alone.
"""

from typing import Any

from torch import Tensor, nn

_PREFIX = "network."


class TemperedNetwork(nn.Module):
    """A network whose logits are divided by `temperature`, above 0."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature
        self.register_state_dict_post_hook(_without_prefix)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor) -> Tensor:
        """Logits, calmer where the temperature is above 1."""
        logits: Tensor = self.network(x)
        return logits / self.temperature


def _without_prefix(module: nn.Module, state: dict[str, Any], prefix: str, metadata: dict[str, Any]) -> None:
    for name in [name for name in state if name.startswith(prefix + _PREFIX)]:
        state[prefix + name.removeprefix(prefix + _PREFIX)] = state.pop(name)


def tempered(network: nn.Module, temperature: float) -> nn.Module:
    """The network with a temperature; itself where it is 1."""
    return network if temperature == 1 else TemperedNetwork(network, temperature)
