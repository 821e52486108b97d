"""An average of the weights, kept beside those that are trained: average ← d·average + (1 - d)·weights.

Moving (EMA, Polyak averaging): after every step, with d rising to the decay that was asked for,
d = min(decay, (1 + n) / (10 + n)) after n steps, so that the random first weights are forgotten in short runs too.
Equal (SWA, Izmailov et al. 2018, https://arxiv.org/abs/1803.05407): after every epoch from a certain one on,
d = n / (n + 1); before that there is no average. Statistics of normalisation are averaged as weights are, so that no
further pass over the data is needed for them; counters are taken over.

The average is what is validated and what a checkpoint holds as its `state_dict`, so every reader of checkpoints has it
without knowing. The weights in training are beside it, under `TRAINED`, and go on from there when a run is resumed.
"""

from collections.abc import Iterator, MutableMapping
from typing import Any

import torch
from torch import Tensor, nn

TRAINED = "darts_train.trained_weights"
UPDATES = "darts_train.average_updates"


class AveragedWeights:
    """The average of one network's weights.

    Args:
        network: The network in training.
        decay: How much of the average stays at each step, in (0, 1); None weighs all updates the same.
    """

    def __init__(self, network: nn.Module, decay: float | None) -> None:
        self.network = network
        self.decay = decay
        self.updates = 0
        self.average: dict[str, Tensor] = {}

    @property
    def counts(self) -> bool:
        """Whether there is one: a moving average begins with the first weights, an equal one with its first update."""
        return self.decay is not None or self.updates > 0

    def begin(self) -> None:
        """Start from the network's weights, where no average was restored; and be where the network is."""
        for name, tensor in _tensors(self.network):
            if name not in self.average:
                self.average[name] = tensor.detach().clone(memory_format=torch.preserve_format)
            self.average[name] = self.average[name].to(tensor.device)

    @torch.no_grad()
    def update(self) -> None:
        """Take the network's weights into the average."""
        n = self.updates
        decay = n / (n + 1) if self.decay is None else min(self.decay, (1 + n) / (10 + n))
        self.updates += 1
        pairs = [(self.average[name], tensor.detach()) for name, tensor in _tensors(self.network)]
        floats = [pair for pair in pairs if pair[1].is_floating_point()]
        torch._foreach_lerp_([a for a, _ in floats], [t for _, t in floats], 1 - decay)
        for average, tensor in pairs:
            if not tensor.is_floating_point():
                average.copy_(tensor)

    def swap(self) -> None:
        """Exchange the network's weights and the average, where there is one; a second call changes them back."""
        if not self.counts:
            return
        for name, tensor in _tensors(self.network):
            tensor.data, self.average[name] = self.average[name], tensor.data

    def save(self, checkpoint: MutableMapping[str, Any], prefix: str) -> None:
        """Put the average, where there is one, in the place of the weights in a checkpoint, and these beside it."""
        if not self.counts:
            return
        checkpoint[TRAINED] = checkpoint["state_dict"]
        average = {prefix + name: tensor for name, tensor in self.average.items()}
        checkpoint["state_dict"] = {name: average.get(name, value) for name, value in checkpoint[TRAINED].items()}
        checkpoint[UPDATES] = self.updates

    def load(self, checkpoint: MutableMapping[str, Any], prefix: str) -> None:
        """Take the average out of a checkpoint; one without starts it from its weights."""
        if TRAINED in checkpoint:
            held = checkpoint["state_dict"]
            self.average = {name: held[prefix + name].clone() for name, _ in _tensors(self.network)}
            self.updates = int(checkpoint[UPDATES])


def restore_trained(checkpoint: MutableMapping[str, Any]) -> None:
    """Where a checkpoint holds an average, put the weights in training back in its place: the run goes on."""
    if TRAINED in checkpoint:
        checkpoint["state_dict"] = checkpoint.pop(TRAINED)


def _tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and persistent buffers by name, as in the state dict; one that has two names comes once."""
    seen: set[int] = set()
    for name, tensor in network.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield name, tensor
