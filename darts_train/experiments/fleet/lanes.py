"""Runs in processes of their own, one for each device of a runner: an `Execute` that several threads may call.

While a trial is worked on (`listening`), Ctrl+C and SIGTERM are passed on to the processes that train. The first
Ctrl+C lets their epochs end; the second one kills them, which loses those epochs and nothing else.
"""

import queue
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

from darts_train.artifacts.tree import RunPlace
from darts_train.experiments.failures import MachineError
from darts_train.experiments.fleet.messages import Outcome
from darts_train.experiments.fleet.progress import RunStep, Watch, unwatched
from darts_train.experiments.fleet.signals import taken_by
from darts_train.experiments.fleet.worker import Worker
from darts_train.metrics.names import MONITOR
from darts_train.options.learning import Data, Device, Hyperparameters, Split, Tracking, Training
from darts_train.training.stopping.pruned import OnValidation

EXECUTE_RUN = "darts_train.experiments.run:execute_run"


class DroppedError(BaseException):
    """The run was ended because nobody wants it any more; no failure, so no `except Exception` takes it for one."""


class Lanes:
    """Does runs as `run.execute_run` does, as many at a time as there are `devices`. Close it at the end.

    `function`: what does a run, as `module:name`.
    """

    def __init__(self, devices: Sequence[str | None], function: str = EXECUTE_RUN, watch: Watch = unwatched) -> None:
        self.count = len(devices)
        self._devices, self._watch = devices, watch
        self._workers = [Worker(function) for _ in devices]
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for lane in range(self.count):
            self._free.put(lane)
        self._leaving: BaseException | None = None
        self._dropped = False
        self._judging = threading.Lock()  # a judge need not bear two questions at once

    def __call__(
        self,
        place: RunPlace,
        data: Data,
        split: Split,
        hyperparameters: Hyperparameters,
        training: Training,
        device: Device,
        tracking: Tracking,
        fold: int,
        seed: int,
        *,
        on_validation: OnValidation | None = None,
    ) -> Outcome:
        """Do a run on the next free device. Raises what ends it, MachineError where its process dies."""
        self.leave_if_told()
        if self._dropped:
            raise DroppedError
        lane = self._free.get()
        begun = time.monotonic()
        step = RunStep(lane, place.cv_name or place.run_name, fold, seed, 0, training.max_epochs)
        try:
            self._watch(step)
            there = replace(device, device=self._devices[lane])
            arguments = (place, data, split, hyperparameters, training, there, tracking, fold, seed)
            outcome = self._workers[lane].run(arguments, self._asked(step, on_validation))
            step = replace(step, score=outcome.metrics.get(MONITOR), finished=True)
            return outcome
        except MachineError:
            self.leave_if_told()
            if self._dropped:
                raise DroppedError from None
            raise
        finally:
            self._watch(replace(step, epoch=step.epochs, seconds=time.monotonic() - begun))
            self._free.put(lane)

    def stays(self) -> bool:
        """True. Raises as `leave_if_told`."""
        self.leave_if_told()
        return True

    def leave_if_told(self) -> None:
        """Raise KeyboardInterrupt or SystemExit where a signal has asked for it."""
        if self._leaving is not None:
            raise self._leaving

    def listening(self) -> AbstractContextManager[None]:
        """Pass signals on during the block."""
        return taken_by({signal.SIGINT: self._interrupt, signal.SIGTERM: self._terminate})

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.end()

    def kill(self) -> None:
        """End all processes at once, also those that are at work."""
        self._pass_on(signal.SIGKILL)

    @contextmanager
    def dropping(self) -> Iterator[None]:
        """Nobody wants the runs that are at work during the block, unless a signal has told them to leave."""
        self._dropped = self._leaving is None
        if self._dropped:
            self.kill()
        try:
            yield
        finally:
            self._dropped = False

    def _asked(self, step: RunStep, on_validation: OnValidation | None) -> OnValidation | None:
        if on_validation is None and self._watch is unwatched:
            return None

        def ask(epochs: int, metrics: Mapping[str, float]) -> str | None:
            self._watch(replace(step, epoch=epochs, score=metrics.get(MONITOR)))
            with self._judging:
                return on_validation(epochs, metrics) if on_validation else None

        return ask

    def _interrupt(self, *_: Any) -> None:
        if isinstance(self._leaving, KeyboardInterrupt):
            self.kill()
            raise KeyboardInterrupt
        self._leaving = KeyboardInterrupt()
        self._pass_on(signal.SIGINT)

    def _terminate(self, *_: Any) -> None:
        self._leaving = self._leaving or SystemExit(128 + signal.SIGTERM)
        self._pass_on(signal.SIGTERM)

    def _pass_on(self, number: int) -> None:
        for worker in self._workers:
            worker.signal(number)
