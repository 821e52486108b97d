"""Checkpoints that are whole at any moment, and the memory of which was best.

checkpoints/best.ckpt     the epoch with the highest validation IoU (the earliest of equals)
checkpoints/last.ckpt     the epoch that ended last, or where SIGTERM came; from here a killed run goes on
checkpoints/previous.ckpt what last.ckpt was before; from here, where that is damaged
checkpoints/epoch=…-step=…-val_iou=….ckpt     the `save_top_k` best

All are regular files and all hold the complete state (weights, optimiser, progress), so any of them can be continued.
"""

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from darts_train.base.files import atomic_path
from darts_train.base.log import logger
from darts_train.metrics.names import MONITOR
from darts_train.models.tensor_file import DamagedFileError, read_tensor_file, write_tensor_file
from darts_train.training.checkpoints.mid_epoch import MID_EPOCH
from darts_train.training.hardware import ranks
from darts_train.training.module import SegmentationModule

BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"
TOP_K_PATTERN = "epoch=*.ckpt"
_log = logger("training")


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, then renames it; reads tensors and plain values only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write; after a crash at any moment `path` is the old file or the new one."""
        write_tensor_file(Path(path), checkpoint, _former(Path(path)))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Read on the CPU, never unpickling objects. Raises UserError for a file that is no checkpoint."""
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a Lightning checkpoint, tensors on the CPU.

    Raises UserError where the file cannot be read, DamagedFileError where it is cut off, changed, no checkpoint, or
    would have to be unpickled.
    """
    content = read_tensor_file(path, "checkpoint")
    if not isinstance(content, dict) or "state_dict" not in content or not isinstance(content.get("epoch"), int):
        raise DamagedFileError(f"{path} is not a checkpoint of a training run.")
    return content


def progress(content: dict[str, Any]) -> tuple[int, int]:
    """Completed epochs of a checkpoint, and the steps done where it was saved in the middle of the next one, else 0."""
    if MID_EPOCH in content:
        return int(content["epoch"]), int(content["global_step"])
    return int(content["epoch"]) + 1, 0


def newest_whole(directory: Path) -> tuple[Path, tuple[int, int]] | None:
    """The newest checkpoint from which a run can go on, and its `progress`; None where it has to start anew.

    A damaged last.ckpt is removed, with a warning: kept, it would take the place of the whole one before it.
    Raises UserError for one that cannot be read, which may be whole.
    """
    for name in (LAST, PREVIOUS):
        path = directory / name
        if not path.is_file():
            continue
        try:
            done = progress(read_checkpoint(path))
        except DamagedFileError as error:
            older = name == LAST and (directory / PREVIOUS).is_file()
            _log.warning("%s The run %s.", error, f"goes on from {PREVIOUS}" if older else "starts anew")
            path.unlink()
            continue
        return path, done
    return None


def _former(path: Path) -> Path | None:
    """Where the generation before this file is kept; only that of last.ckpt is, the others can be made again."""
    return path.with_name(PREVIOUS) if path.name == LAST else None


class KeepCheckpoints(Checkpoint):
    """Saves best, the top k and last at the end of every epoch, and stops when the best is long ago.

    One callback instead of Lightning's three, so that there is one memory of what was best, and it is in every file:
    `best_metrics` after resuming are those of the checkpoint that lies there.

    Args:
        directory: The run's checkpoints directory.
        run_id: Whose memory this is. A run that continues another's checkpoint begins with none of its own.
        save_top_k: How many of the best are kept by name; 0 none, -1 all.
        patience: Validations without a gain before training stops; 0 never stops.
    """

    def __init__(self, directory: Path, run_id: str, save_top_k: int = 1, patience: int = 0) -> None:
        self.directory = directory
        self.run_id = run_id
        self.save_top_k = save_top_k
        self.patience = patience
        self.best_score = -math.inf
        self.best_metrics: dict[str, float] = {}
        self.last_metrics: dict[str, float] = {}
        self.without_gain = 0
        self.top: list[tuple[float, str]] = []  # best first
        self._seconds_before = 0.0
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of work so far, over all processes that took part in this run."""
        return self._seconds_before + time.monotonic() - self._started

    @property
    def state_key(self) -> str:
        """Name of this memory in checkpoints."""
        return "darts_train.checkpoints"

    def state_dict(self) -> dict[str, Any]:
        """What is remembered, in plain types."""
        return {
            "run_id": self.run_id,
            "best_score": self.best_score,
            "best_metrics": dict(self.best_metrics),
            "last_metrics": dict(self.last_metrics),
            "without_gain": self.without_gain,
            "top": [list(entry) for entry in self.top],
            "seconds": self.seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember again, unless the memory is another run's."""
        if state_dict.get("run_id") != self.run_id:
            return
        self.best_score = state_dict["best_score"]
        self.best_metrics = state_dict["best_metrics"]
        self.last_metrics = state_dict["last_metrics"]
        self.without_gain = state_dict["without_gain"]
        self.top = [(score, name) for score, name in state_dict["top"]]
        self._seconds_before = state_dict["seconds"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A run that was killed right after it had decided to stop does not train on."""
        self._remove_forgotten()
        trainer.should_stop = trainer.should_stop or self._exhausted()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save what this epoch gave.

        Best comes before last. Killed between the two, the run goes on from the former last.ckpt, repeats this
        epoch bit for bit and writes the same best.ckpt again. The other way round, last.ckpt would say that this
        epoch is done, while best.ckpt, which it should have become, would be lost for good.
        """
        assert isinstance(pl_module, SegmentationModule)
        names = []
        if pl_module.val_metrics is not None:
            names = self._judge(pl_module.val_metrics, trainer.current_epoch, trainer.global_step)
        self._save(trainer.save_checkpoint, [*names, LAST])
        self._remove_forgotten()
        trainer.should_stop = trainer.should_stop or self._exhausted()

    def save_within_epoch(self, trainer: pl.Trainer, pl_module: SegmentationModule, batches: int) -> None:
        """Write last.ckpt in the middle of an epoch, after `batches` of its batches: the process has to end."""
        pl_module.batches_done = batches
        self._save(trainer.save_checkpoint, [LAST])
        pl_module.batches_done = None

    def _judge(self, metrics: dict[str, float], epoch: int, step: int) -> list[str]:
        """Update the memory with a validation; the files that this epoch becomes."""
        score = metrics[MONITOR]
        self.last_metrics = metrics
        names = []
        if score > self.best_score:
            self.best_score, self.best_metrics, self.without_gain = score, metrics, 0
            names.append(BEST)
        else:
            self.without_gain += 1
        name = f"epoch={epoch}-step={step}-val_iou={score:.2f}.ckpt"
        ranked = sorted([*self.top, (score, name)], key=lambda entry: -entry[0])  # stable: the earlier of equals first
        self.top = ranked if self.save_top_k < 0 else ranked[: self.save_top_k]
        return [*names, name] if (score, name) in self.top else names

    def _save(self, save: Callable[[Path], None], names: list[str]) -> None:
        """Serialise once, copy for the other names: each file is written whole, in this order, by rank 0."""
        first, *others = (self.directory / name for name in names)
        save(first)  # on all ranks, which add up what they know
        for path in others if not ranks.rank() else ():
            with atomic_path(path, _former(path)) as temporary:
                shutil.copyfile(first, temporary)

    def _remove_forgotten(self) -> None:
        """Remove top-k files that are no longer, or, after a kill, not yet among the best."""
        kept = {name for _, name in self.top}
        for path in self.directory.glob(TOP_K_PATTERN) if not ranks.rank() else ():
            if path.name not in kept:
                path.unlink(missing_ok=True)

    def _exhausted(self) -> bool:
        return 0 < self.patience <= self.without_gain
