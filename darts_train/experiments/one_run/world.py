"""Which devices a run is to have, and how its processes come to be.

`darts train-smp --devices N` starts the other N - 1 processes of its machine itself. On several machines it is started
once on each (srun with one task for each machine, or with MASTER_ADDR, MASTER_PORT and NODE_RANK set), or once for
each device (srun with as many tasks, torchrun).
"""

import dataclasses
import os
from collections.abc import Mapping

import torch

from darts_train.base.errors import UserError
from darts_train.base.executor import core_count
from darts_train.dataset.splitting.splits import SplitIndices
from darts_train.options.learning import Device, Devices
from darts_train.training.hardware.ranks import World

FIRST_PORT = 15000  # with SLURM, whose jobs have numbers; to it the last four digits of the number are added


def choose_devices(
    devices: Devices, device: Device, environment: Mapping[str, str] = os.environ
) -> tuple[Device, World | None]:
    """The one device of this process, and the world of all processes where there are several.

    Raises UserError where `--device` contradicts the others, devices are missing, or nothing says which of the
    machines this is.
    """
    if devices.strategy not in ("auto", "ddp"):
        raise UserError(f"--strategy {devices.strategy} is for a search (tune-smp); the devices of a run have ddp.")
    one = (device.device or "auto").strip().lower()
    alone = devices.devices * devices.num_nodes == 1
    if one != "auto" and not alone:
        raise UserError(
            f"--device {device.device} is one device, --devices {devices.devices} and --num-nodes {devices.num_nodes} "
            "are several; leave --device out (and give --accelerator cpu for processors)."
        )
    if one != "auto" and devices.accelerator not in ("auto", "cpu" if one == "cpu" else "cuda"):
        raise UserError(f"--device {device.device} is not of --accelerator {devices.accelerator}; give one of them.")
    accelerator = _accelerator(devices)
    if alone:
        chosen = device if one != "auto" or devices.accelerator == "auto" else Device(device=accelerator)
        return chosen, None
    _require(accelerator, devices.devices)
    world = _placed(World(accelerator, devices.devices, devices.num_nodes), environment)
    return Device(device=str(world.device)), world


def check_shares(indices: SplitIndices, samples_per_epoch: int | None, count: int) -> None:
    """Raise UserError where a part has too few patches for `count` processes to have one each."""
    sizes = {"training": samples_per_epoch or len(indices.train), "validation": len(indices.val)}
    for part, size in sizes.items():
        if size < count:
            raise UserError(f"--devices: {count} processes cannot share {size} {part} patches; take fewer devices.")


def _accelerator(devices: Devices) -> str:
    if devices.accelerator == "cuda" and not torch.cuda.is_available():
        raise UserError("--accelerator cuda: there is no CUDA device here; use auto or cpu.")
    if devices.accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return devices.accelerator


def _require(accelerator: str, wanted: int) -> None:
    there = torch.cuda.device_count() if accelerator == "cuda" else max(core_count(), 2)
    if wanted > there:
        what = "CUDA devices" if accelerator == "cuda" else "processors"
        raise UserError(
            f"--devices {wanted}: this machine has {there} {what}; --devices is the number on each machine."
        )


def _placed(world: World, environment: Mapping[str, str]) -> World:
    """The world with this process's place in it, as whoever started it says."""
    if "TORCHELASTIC_RUN_ID" in environment:
        _require_count("torchrun", _number(environment, "WORLD_SIZE"), world.count)
        local = _number(environment, "LOCAL_RANK")
        node = (_number(environment, "RANK") - local) // world.devices
        return dataclasses.replace(world, node=node, local=local, external=True, elastic=True)
    if "SLURM_STEP_NUM_TASKS" in environment:  # set by srun, not by sbatch
        placed = _of_slurm(world, environment)
        if placed.count > 1 and (world.nodes > 1 or placed.external):
            return placed
    if world.nodes == 1:
        return world
    if not {"NODE_RANK", "MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
        raise UserError(
            f"--num-nodes {world.nodes}: start this command on every machine, with srun --ntasks-per-node=1, or with "
            "MASTER_ADDR, MASTER_PORT and NODE_RANK set."
        )
    node = _number(environment, "NODE_RANK")
    if node >= world.nodes:
        raise UserError(f"NODE_RANK is {node}; of --num-nodes {world.nodes} the last is {world.nodes - 1}.")
    port = _number(environment, "MASTER_PORT")
    return dataclasses.replace(world, node=node, address=environment["MASTER_ADDR"], port=port)


def _of_slurm(world: World, environment: Mapping[str, str]) -> World:
    tasks = _number(environment, "SLURM_STEP_NUM_TASKS")
    if tasks == world.nodes:
        local, external = 0, False
    else:
        _require_count("srun", tasks, world.count)
        local, external = _number(environment, "SLURM_LOCALID"), True
    job = environment.get("SLURM_JOB_ID", "0")[-4:]
    port = _number(environment, "MASTER_PORT") if "MASTER_PORT" in environment else FIRST_PORT + int(job)
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_NODELIST", "127.0.0.1")
    address = environment.get("MASTER_ADDR") or first_host(nodes)
    node = _number(environment, "SLURM_NODEID")
    return dataclasses.replace(world, node=node, local=local, address=address, port=port, external=external)


def first_host(nodes: str) -> str:
    """The first of SLURM's list of hosts: `gpu[07-09,12],cpu1` is gpu07."""
    before, bracket, rest = nodes.partition("[")
    if not bracket or "," in before:
        return before.split(",")[0]
    inside, _, after = rest.partition("]")
    return before + inside.split(",")[0].split("-")[0] + after.split(",")[0]


def _require_count(program: str, started: int, wanted: int) -> None:
    if started != wanted:
        raise UserError(f"{program} started {started} processes; --devices times --num-nodes are {wanted}.")


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not text.isdecimal():
        raise UserError(f"the environment variable {name} must be a number; it is {text or 'not set'}.")
    return int(text)
