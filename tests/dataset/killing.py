"""Writing a set in a child process that is killed: at a chosen step, or from outside at any moment.

A step is a rename or a removal: everything that the writer and zarr do and that others can see is one of these.
The child is forked from a server that has the modules loaded, and does not wait for the disk (a kill of the process
loses nothing that was written), so that a hundred kills take seconds.
"""

import itertools
import os
import signal
from pathlib import Path

import tomlkit  # noqa: F401  loaded by the writer when needed; here before the fork

from darts_train.dataset.schema import LEFT_OUT, SceneRecord
from darts_train.dataset.writer import TrainDataWriter
from tests.support.sets import make_config, make_tile

SCENES = (1, 0, None, 2)  # patches per scene; None: left out
_STEPS = ("replace", "unlink", "rmdir")


def write_all(root: Path, scenes: int = len(SCENES), overwrite: bool = False) -> None:
    """Write the first `scenes` scenes, passing over what is there."""
    config = make_config(bands=2, size=16, seed=3)
    with TrainDataWriter.open(root, config, overwrite) as writer:
        for scene, count in enumerate(SCENES[:scenes]):
            if count is None:
                writer.skip(SceneRecord(f"scene{scene:02d}", LEFT_OUT, reason="no labels"))
                continue
            tile = make_tile(config, scene, f"Region {scene % 2}", count, seed=3)
            if tile.key not in writer.tiles_done:
                writer.commit(tile)
        writer.finalise()


def write_and_die(root: Path, scenes: int, overwrite: bool, step: int) -> None:
    """The same, killed right before step number `step`."""
    counter = itertools.count()
    for name in _STEPS:
        setattr(os, name, _counted(getattr(os, name), counter, step))
    write_all(root, scenes, overwrite)


def _counted(function, counter, step):
    def counted(*args, **kwargs):
        if next(counter) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return counted


def contents(root: Path) -> dict[str, bytes | None]:
    """Every file below a directory with its bytes, every directory with None."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in sorted(root.rglob("*"))
    }
