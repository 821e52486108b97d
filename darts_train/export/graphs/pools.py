"""Adaptive average pooling that an export can carry to other sizes.

PSPNet, UPerNet and PAN pool their deepest features to a grid of n × n. The exporter writes down the pooling of the
size it happened to see (wrong by 0.5 in the logits at other sizes, or out of bounds). Here it is two products with
matrices made of the size at run time; the arithmetic is torch's own definition (cell i averages pixels
floor(i·s / n) to ceil((i + 1)·s / n)), so results differ by rounding only.
"""

import copy

import torch
from torch import nn


class MatrixPool(nn.Module):
    """Average pooling of [n, c, h, w] to [n, c, rows, columns], by matrices. `rows`, `columns` above 0."""

    def __init__(self, rows: int, columns: int) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Means of the cells; NaN spreads over its rows and columns, as in any product."""
        rows = _averages(self.rows, x.shape[-2], x)
        columns = _averages(self.columns, x.shape[-1], x)
        return rows @ x @ columns.T


def _averages(cells: int, size: int, like: torch.Tensor) -> torch.Tensor:
    """Matrix [cells, size] whose row i averages the pixels of cell i."""
    cell = torch.arange(cells, device=like.device).unsqueeze(1)
    pixel = torch.arange(size, device=like.device).unsqueeze(0)
    first, last = cell * size // cells, ((cell + 1) * size + cells - 1) // cells
    inside = ((pixel >= first) & (pixel < last)).to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)


def with_matrix_pools(network: nn.Module) -> nn.Module:
    """A copy of the network in which adaptive average pools to more than one cell are `MatrixPool`s."""
    network = copy.deepcopy(network)
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.AdaptiveAvgPool2d):
                size = child.output_size
                rows, columns = size if isinstance(size, tuple) else (size, size)
                if rows and columns and (rows, columns) != (1, 1):
                    setattr(parent, name, MatrixPool(rows, columns))
    return network
