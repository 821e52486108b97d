"""Gradient checkpointing: the encoder's blocks forget what they computed and compute it again for the gradient.

Memory of the encoder's activations falls to the inputs of its blocks, for about a third more time. A block is an entry
of an outermost list of modules in the encoder (`nn.Sequential`, `nn.ModuleList`), whatever the encoder is. The second
time statistics of batch normalisation are left alone: torch would count the batch twice, and what is validated would
differ.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from darts_train.base.errors import UserError

LEAST = 2  # blocks, below which nothing is gained
_LISTS = (nn.Sequential, nn.ModuleList)


def recompute_blocks(network: nn.Module, encoder: str) -> int:
    """Make the blocks of the encoder of `network` recompute; the number of them. Weights and their names stay.

    Raises UserError where the encoder has none. Blocks that overwrite what they are given end in torch's own error.
    """
    blocks = checked_blocks(network, encoder)
    for block in blocks:
        block.forward = _Recomputed(block)
    return len(blocks)


def checked_blocks(network: nn.Module, encoder: str) -> list[nn.Module]:
    """The blocks of the encoder of `network`. Raises UserError where there are fewer than LEAST."""
    blocks = list(_blocks(network.get_submodule("encoder")))
    if len(blocks) < LEAST:
        raise UserError(
            f"--gradient-checkpointing: {encoder} has no blocks that could be computed twice; leave it out."
        )
    return blocks


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, _LISTS):
            yield from (block for block in child if next(block.parameters(), None) is not None)
        else:
            yield from _blocks(child)


class _Recomputed:
    """What a block does, done again for the gradient."""

    def __init__(self, block: nn.Module) -> None:
        self.block = block
        self.once = block.forward

    def __call__(self, *arguments: Any) -> Any:
        if not (self.block.training and torch.is_grad_enabled()):
            return self.once(*arguments)
        return checkpoint(self.once, *arguments, use_reentrant=False, context_fn=self._contexts)

    def _contexts(self) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        return nullcontext(), _still(self.block)


@contextmanager
def _still(block: nn.Module) -> Iterator[None]:
    """Batch normalisation normalises by the batch, as in training, and its running statistics stay."""
    norms = [module for module in block.modules() if isinstance(module, nn.modules.batchnorm._NormBase)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
