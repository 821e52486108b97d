"""Patches that are read once and held: in main memory, or on the device that trains."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from darts_train.base.errors import UserError
from darts_train.base.free_memory import available_memory
from darts_train.base.progress import track
from darts_train.dataset.cache import PatchSource
from darts_train.training.loading.patches import Batch, Indices, as_tensor

SHARE = 0.8  # of the free memory that patches may take; the network needs some too
_BLOCK = 32


class HeldPatches(Dataset[Batch]):
    """Rows of a source in tensors on one device: x [n, c, h, w] as in a batch, y uint8 [n, h, w].

    A batch is gathered where the patches are, so on a CUDA device nothing crosses the bus and no loader works.
    """

    def __init__(self, source: PatchSource, indices: Indices, device: torch.device) -> None:
        self.indices = np.asarray(indices, dtype=np.int64)
        x, y = source.read_many(self.indices[:0])
        self.x = torch.empty((len(indices), *x.shape[1:]), dtype=as_tensor(x).dtype, device=device)
        self.y = torch.empty((len(indices), *y.shape[1:]), dtype=torch.uint8, device=device)
        self.rows = torch.as_tensor(self.indices, device=device)
        blocks = range(0, len(indices), _BLOCK)
        for first in track(blocks, "reading patches", len(blocks)):
            part = slice(first, first + _BLOCK)
            x, y = source.read_many(self.indices[part])
            self.x[part], self.y[part] = as_tensor(x).to(device), torch.from_numpy(y).to(device)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> Batch:
        return self.__getitems__([position])

    def __getitems__(self, positions: Sequence[int]) -> Batch:
        """A batch on the device of the patches."""
        # Not blocking: else the host waits for all that is queued on a CUDA device before it can queue another step.
        chosen = torch.from_numpy(np.asarray(positions, np.int64)).to(self.rows.device, non_blocking=True)
        parts = {"x": self.x, "y": self.y, "index": self.rows}
        return {name: part.index_select(0, chosen) for name, part in parts.items()}  # x[chosen] takes twice the time


def require_room(need: int, device: torch.device) -> None:
    """Check that `need` bytes fit. Raises UserError with both numbers and what to take instead."""
    if device.type == "cuda":
        free: int | None = torch.cuda.mem_get_info(device)[0]
        cache, where, other = "device", str(device), "--cache memory, or a directory on a local disk"
    else:
        free = available_memory()
        cache, where, other = "memory", "this machine", "--cache with a directory on a local disk"
    if free is not None and need > SHARE * free:
        raise UserError(
            f"--cache {cache}: the patches need {need / 1e9:.1f} GB; {where} has {free / 1e9:.1f} GB free, of which "
            f"{SHARE:.0%} may be taken; use {other}."
        )
