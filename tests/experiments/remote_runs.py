"""Runs for processes of their own: what they do is in their names. Nothing heavy is imported."""

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

from darts_train.base.errors import UserError
from darts_train.training.errors import OutOfMemory, TrainingError
from darts_train.training.stopping.pruned import PrunedError


def result(value=0.5):
    metrics = {"val/JaccardIndex": value, "val/Recall": value, "pid": float(os.getpid())}
    return SimpleNamespace(
        status="finished", best_checkpoint=Path("best.ckpt"), metrics=metrics, last_metrics=metrics, duration=1.0
    )


def works(place, data, split, hyperparameters, training, device, tracking, fold, seed, on_validation=None):
    """Scores by learning rate, fold and seed; says which device it had."""
    for epoch in range(training.max_epochs):
        if on_validation and (reason := on_validation(epoch + 1, {"val/JaccardIndex": 0.1 * epoch})):
            raise PrunedError(reason)
    place.directory.mkdir(parents=True, exist_ok=True)
    (place.directory / "device").write_text(device.device)
    return result(hyperparameters.learning_rate + 0.1 * fold + seed / 1000)


def slow_first(*arguments, **options):
    """Fold 0 is the last to end."""
    time.sleep(0.0 if arguments[7] else 0.3)
    return works(*arguments, **options)


def dies_once(place, *arguments, **options):
    """The first of all runs takes its process with it."""
    mark = place.directory.parent.parent / "died"
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return works(place, *arguments, **options)
    return os.kill(os.getpid(), signal.SIGKILL)


def dies(*_, **__):
    os.kill(os.getpid(), signal.SIGSEGV)


def refuses(*_, **__):
    raise UserError("does not go together")


def diverges(*_, **__):
    raise TrainingError("the loss is not finite")


def needs_memory(*_, **__):
    raise OutOfMemory("too little memory")


def errs(*_, **__):
    raise Odd(1, 2)


class Odd(Exception):
    """Cannot be read again when it was pickled."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


def hangs(place, *arguments, on_validation=None):
    """Trains until Ctrl+C, which it takes at the end of its epoch; says that it has begun."""
    interrupted = []
    signal.signal(signal.SIGINT, lambda *_: interrupted.append(1))
    if on_validation:
        on_validation(1, {})
    deadline = time.monotonic() + 20
    while not interrupted and time.monotonic() < deadline:
        time.sleep(0.01)
    place.directory.mkdir(parents=True, exist_ok=True)
    (place.directory / "saved").touch()
    raise KeyboardInterrupt
