"""Scenes in parallel: one process per device, several on the CPU, or the workers of a Dask cluster.

A worker opens the model once and maps one scene at a time, with the code that maps scenes one after the other: the
files are the same whoever made them.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch

from darts_train.base.errors import UserError
from darts_train.base.executor import core_count, open_executor
from darts_train.base.locks import HeldError, exclusive_lock
from darts_train.base.progress import track
from darts_train.inference.models import MapModel, open_model
from darts_train.inference.preparation import prepare
from darts_train.inference.scene_maps import SceneMap, map_scenes
from darts_train.models.torch_device import torch_device
from darts_train.options.learning import Precision
from darts_train.options.predicting import Devices, Maps, Predict, SceneFiles, Windows

_leases: list[AbstractContextManager[None]] = []  # of this process, until it ends


@dataclass(frozen=True)
class SceneTask:
    """What a worker is told: one scene, and how it is mapped.

    `devices` are those of all workers; each leases one by a lock in `leases`, or has the only one where that is None.
    `place` is the working directory in which relative paths mean something; `threads` is for torch on the CPU; `shared`
    are overlap and halo, measured once for all workers.
    """

    predict: Predict
    scenes: SceneFiles
    windows: Windows
    maps: Maps
    devices: tuple[str, ...]
    leases: Path | None
    place: Path
    threads: int
    shared: tuple[int, int]


def device_names(text: str | None, devices: Devices, scene_count: int | None = None) -> tuple[str, ...]:
    """The device of each process: those of `--device A,B`, in turn where there are more workers.

    No more than there are scenes. Raises UserError for a device that is not here or given twice, for a CPU beside
    another kind, and for several with a cluster, whose workers have their own.
    """
    names = tuple(part.strip() for part in (text or "auto").split(","))
    if devices.scheduler is not None:
        if len(names) > 1:
            raise UserError("--device: several devices go with --workers, not with --scheduler.")
        return names
    resolved = [str(torch_device(name)) for name in names]
    if len(set(resolved)) < len(resolved):
        raise UserError(f"--device: {text} names a device twice; --workers is the number of processes.")
    if len({name.partition(":")[0] for name in resolved}) > 1:  # a map says what made it, and is kept for that alone
        raise UserError(f"--device: {text} are of two kinds, which do not say the same to the last bit; give one kind.")
    wanted = devices.workers or len(names)
    if wanted < len(names):
        raise UserError(f"--workers: {wanted} processes are fewer than the devices {text}.")
    count = wanted if scene_count is None else max(1, min(wanted, scene_count))
    return tuple(names[i % len(names)] for i in range(count))


def map_in_parallel(
    predict: Predict,
    scenes: SceneFiles,
    windows: Windows,
    maps: Maps,
    devices: Devices,
    places: Sequence[Path],
    shared: tuple[int, int],
) -> Iterator[SceneMap]:
    """Maps of the scenes at `places`, in their order, as they are finished; see `map_scenes`.

    `shared`: pixels that windows share, and those at their ends that do not count.
    """
    names = device_names(predict.device, devices, len(places))
    with tempfile.TemporaryDirectory() as leases:
        locks = None if devices.scheduler is not None else Path(leases)
        threads = max(1, core_count() // len(names))
        tasks = [
            SceneTask(
                predict, replace(scenes, input=(place,)), windows, maps, names, locks, Path.cwd(), threads, shared
            )
            for place in places
        ]
        with open_executor(len(names), devices.scheduler) as executor:
            yield from track(executor.map(map_one, tasks), "map scenes", len(tasks))


def map_one(task: SceneTask) -> SceneMap:
    """Map one scene in this process."""
    if Path.cwd() != task.place:  # another process, perhaps on another machine
        os.chdir(task.place)
    device = task.devices[0] if task.leases is None else _leased(task.leases, task.devices)
    if task.leases is not None:
        torch.set_num_threads(task.threads)
    model, size = _model(task.predict.model, task.windows.window_size, device, task.predict.precision)
    mapper, opened = prepare(model, size, task.scenes, task.windows, task.maps, task.shared)
    (found,) = map_scenes(mapper, opened, task.maps)
    return found


@lru_cache(maxsize=1)
def _model(place: Path, window_size: int | None, device: str, precision: Precision) -> tuple[MapModel, int]:
    return open_model(place, window_size, device, precision)


@lru_cache(maxsize=1)
def _leased(leases: Path, devices: tuple[str, ...]) -> str:
    """A device that no other living process of the call has; it is this one's until it ends."""
    for number, name in enumerate(devices):
        lock = exclusive_lock(leases / f"{number}.lock", name)
        try:
            lock.__enter__()
        except HeldError:
            continue
        _leases.append(lock)
        return name
    raise UserError(f"--device: all of {', '.join(devices)} are taken by other processes of this call.")
