"""Several processes that train one network, each on a device of its own: what they have to agree on.

Each has a rank; rank 0 alone writes. Gradients are DDP's business; here are the sums beside them, so that all ranks
see the same losses, metrics and statistics of normalisation, and decide alike. Where a process trains alone every
function here leaves its argument as it is.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn

from darts_train.base.errors import UserError

PATIENCE = timedelta(hours=2)  # one rank may fill the cache of a large set while the others wait
MEETING = timedelta(minutes=10)  # until processes of all machines are there


@dataclass(frozen=True)
class World:
    """All processes of a run, and which of them this one is.

    Args:
        accelerator: `cpu` or `cuda`.
        devices: Processes on each machine, one for each device.
        nodes: Machines.
        node: This machine, from 0.
        local: This process on its machine, from 0.
        address: Name or address of machine 0.
        port: Where rank 0 listens there; 0 until it has chosen one.
        external: Whether every process was started from outside (srun, torchrun); else the first on each machine
            starts the others.
        elastic: Whether it was torchrun, which listens itself.
    """

    accelerator: str
    devices: int
    nodes: int = 1
    node: int = 0
    local: int = 0
    address: str = "127.0.0.1"
    port: int = 0
    external: bool = False
    elastic: bool = False

    @property
    def count(self) -> int:
        """Number of processes."""
        return self.devices * self.nodes

    @property
    def rank(self) -> int:
        """This process among all."""
        return self.node * self.devices + self.local

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        return torch.device("cpu") if self.accelerator == "cpu" else torch.device("cuda", self.local)

    def neighbours(self) -> list["World"]:
        """The processes that this one has to start."""
        first = self.local == 0 and not self.external
        return [replace(self, local=local) for local in range(1, self.devices)] if first else []


def count() -> int:
    """Number of processes that train together; 1 alone."""
    return dist.get_world_size() if _gathered() else 1


def rank() -> int:
    """This process among them; 0 alone."""
    return dist.get_rank() if _gathered() else 0


def add_up(tensors: Sequence[Tensor]) -> None:
    """Replace each tensor by its sum over all ranks, in place."""
    for tensor in tensors if count() > 1 else ():
        dist.all_reduce(tensor)


def mean(value: Tensor) -> Tensor:
    """The mean over all ranks of a floating-point tensor; the tensor itself where there is one rank."""
    if count() == 1:
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total / count()


def anywhere(flag: bool) -> bool:
    """Whether the flag is set on any rank. The devices are not waited for."""
    if count() == 1:
        return flag
    number = torch.tensor(int(flag))
    dist.all_reduce(number)
    return bool(number)


def share_statistics(network: nn.Module) -> None:
    """Give all ranks the mean of their running statistics (of batch normalisation), in place.

    DDP would send those of rank 0 with every forward, also when ranks validate different numbers of batches; then it
    hangs.
    """
    buffers = [buffer for buffer in network.buffers() if buffer.is_floating_point()] if count() > 1 else []
    if not buffers:
        return
    flat = mean(torch.cat([buffer.flatten().float() for buffer in buffers]))
    for buffer, part in zip(buffers, torch.split(flat, [buffer.numel() for buffer in buffers]), strict=True):
        buffer.copy_(part.view_as(buffer))


class AddsUpValidation(Callback):
    """Adds up the counts of validation, before anything is made of them; it must be the first callback."""

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """All ranks have validated their share."""
        add_up(pl_module.counted.counts())  # type: ignore[operator, union-attr]


@contextmanager
def gathered(world: World, store: Any = None) -> Iterator[None]:
    """All processes of a world meet; on leaving this one goes.

    Sums of CPU tensors go through gloo, those of CUDA tensors through NCCL. Raises UserError where one does not come.
    """
    if world.nodes == 1 and os.path.isdir("/sys/class/net/lo"):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # no need to look for this machine's name
    if world.accelerator == "cuda":
        torch.cuda.set_device(world.device)
    backend = "gloo" if world.accelerator == "cpu" else "cpu:gloo,cuda:nccl"
    try:
        if store is None and not world.elastic:
            store = _store(world, world.rank == 0)
        where = {"init_method": "env://"} if store is None else {"store": store}
        dist.init_process_group(backend, rank=world.rank, world_size=world.count, timeout=PATIENCE, **where)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the {world.count} processes of the run did not meet at {world.address}: {reason}") from error
    try:
        yield
    finally:
        dist.destroy_process_group()


def meeting_point(world: World) -> Any:
    """The store through which the processes of one machine meet: rank 0 listens at a free port, its `port`."""
    return _store(world, True)


def _store(world: World, listens: bool) -> Any:
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    return TCPStore(world.address, world.port, world.count, listens, MEETING, wait_for_workers=False)


def from_first(value: Any) -> Any:
    """What rank 0 has, on all ranks; it must be picklable."""
    box = [value]
    dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
    return box[0]


def trainer_settings(world: World) -> dict[str, Any]:
    """What Lightning's trainer has to know of a world whose processes have met, but for its plugin `Place`.

    Parameters that get no gradient are looked for in every step: a frozen encoder has some, networks of timm too.
    """
    return {
        "accelerator": world.accelerator,
        "devices": world.devices,
        "num_nodes": world.nodes,
        "strategy": DDPStrategy(find_unused_parameters=True, broadcast_buffers=False),
    }


def without_lightnings_vote(trainer: pl.Trainer) -> None:
    """Lightning asks all ranks for SIGTERM before every batch and waits for the device to say so; `termination` does
    it without the device.
    """
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nothing  # type: ignore[method-assign]


class Place(ClusterEnvironment):
    """Tells Lightning which process this is. It starts none."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    @property
    def creates_processes_externally(self) -> bool:
        """They are all there."""
        return True

    @property
    def main_address(self) -> str:
        """Of machine 0."""
        return self.world.address

    @property
    def main_port(self) -> int:
        """Of rank 0."""
        return self.world.port

    @staticmethod
    def detect() -> bool:
        """Never chosen by Lightning itself."""
        return False

    def world_size(self) -> int:
        """Number of processes."""
        return self.world.count

    def set_world_size(self, size: int) -> None:
        """It is what it is."""

    def global_rank(self) -> int:
        """This process among all."""
        return self.world.rank

    def set_global_rank(self, rank: int) -> None:
        """It is what it is."""

    def local_rank(self) -> int:
        """This process on its machine."""
        return self.world.local

    def node_rank(self) -> int:
        """This machine."""
        return self.world.node


def _gathered() -> bool:
    return dist.is_available() and dist.is_initialized()


def _nothing() -> None:
    return None
