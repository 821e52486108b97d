"""An epoch that was left in its middle: what its checkpoint says of it, and where it is taken up again.

Batches are counted, and the samples in them. They say where to go on only where the next process makes the same batches
of the same samples in the same order. With another batch size, accumulation, number of devices, seed or other data the
epoch begins anew, with the weights it had come to: some samples are seen twice in it, and none is left out.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

import lightning.pytorch as pl

from darts_train.base.log import logger
from darts_train.training.hardware.portions import in_portions
from darts_train.training.loading.data_module import TrainDataModule

MID_EPOCH = "darts_train.mid_epoch"  # in checkpoints
_log = logger("training")


def recipe(trainer: pl.Trainer) -> dict[str, Any]:
    """What the batches of an epoch depend on, and when the optimiser steps; plain values, those of whole batches."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    of_data = data.recipe() if isinstance(data, TrainDataModule) else {}
    together = trainer.accumulate_grad_batches // _portions(trainer)
    return {"accumulate_grad_batches": together, "devices": trainer.world_size, **of_data}


def _portions(trainer: pl.Trainer) -> int:
    """Batches that are made of a whole one."""
    return getattr(trainer.datamodule, "portions", 1)  # type: ignore[attr-defined]


def left(trainer: pl.Trainer, batches: int, loss_sum: float, steps: int) -> dict[str, Any]:
    """What a checkpoint says of an epoch of which `batches` are done, on each device; plain values."""
    facts, portions = recipe(trainer), _portions(trainer)
    samples = batches * facts.get("batch_size", 1) // portions * facts["devices"]
    counts = {"batches": batches, "samples": samples, "loss_sum": loss_sum, "steps": steps, "portions": portions}
    return {**counts, "recipe": facts}


def taken_up(trainer: pl.Trainer, checkpoint: MutableMapping[str, Any]) -> dict[str, Any] | None:
    """What `left` said, None where the checkpoint is of an epoch's end.

    Where the epoch has to begin anew, it says so in the log, sets the batches in the checkpoint back to none, and
    returns that nothing of the epoch is done.
    """
    found: dict[str, Any] | None = checkpoint.get(MID_EPOCH)
    if found is None:
        return None
    other = _differences(found.get("recipe", {}), recipe(trainer))
    if not other:
        in_portions(found, checkpoint["loops"], _portions(trainer))
        return found
    _log.warning(
        "the checkpoint was left in the middle of epoch %d by a run with other settings (%s); that epoch begins anew.",
        checkpoint["epoch"] + 1,
        other,
    )
    _set_back(checkpoint)
    return {"batches": 0, "samples": 0, "loss_sum": 0.0, "steps": 0}


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """`batch_size 4, now 8`, of all that differ; hashes by their name alone."""
    other = [name for name in now if then.get(name) != now[name]]
    return ", ".join(
        name if name == "order" else f"{name} {then.get(name, 'unknown')}, now {now[name]}" for name in other
    )


def _set_back(checkpoint: MutableMapping[str, Any]) -> None:
    """Tell Lightning's loop that the epoch has begun, and none of its batches is done."""
    batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
    for count in batches["current"]:
        batches["current"][count] = 0
    batches["is_last_batch"] = False
    batches["total"]["completed"] = batches["total"]["processed"]  # else it takes the last one for unfinished
