"""The processes of one run: rank 0, which has the run's directory, and the others, which only compute.

Rank 0 checks everything, then starts the other processes of its machine (on other machines they were started there),
meets them, and sends them the run. A process that ends before its time ends the run: where the others wait for it in
a sum, gloo tells them at once; NCCL does not, so rank 0 gives itself a grace, writes down what happened, and leaves.
The other way round, a process sees that the one that started it is gone, whatever killed it, and leaves too.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.experiments.one_run.mates import Mate, end, start
from darts_train.training.hardware.ranks import World, from_first, gathered, meeting_point
from darts_train.training.module import TrainingError

GRACE = 20.0  # seconds in which rank 0 may notice by itself that another is gone
GOING = 5.0  # seconds in which the others may leave by themselves
_LEFT = re.compile("peer|gloo|nccl|broken pipe|connection|socket", re.IGNORECASE)  # in errors of a sum that was left
_ELSEWHERE = "another process of the run has ended; its own output says why."
_log = logger("training")


class Mates:
    """The processes that this one has started, and a watch over them."""

    def __init__(self) -> None:
        self._mates: list[Mate] = []

    def start(self, world: World) -> None:
        """Start those that are ours to start. Raises TrainingError where one does not come up."""
        self._mates = [start(mate) for mate in world.neighbours()]
        for mate in self._mates:
            mate.wait_until_ready()

    def lost(self) -> Mate | None:
        """One that ended before its time."""
        return next((mate for mate in self._mates if mate.is_lost), None)

    @contextmanager
    def watched(self, last_words: Callable[[Exception], None]) -> Iterator[None]:
        """Where one is lost, and the block does not end for that reason, call `last_words` with it and exit."""
        over = threading.Event()
        threading.Thread(target=self._watch, args=(over, last_words), name="crew", daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def end(self, patience: float) -> None:
        """Wait so many seconds for each to leave, then kill it: it writes nothing, so nothing is torn."""
        end(self._mates, patience)
        self._mates = []

    def _watch(self, over: threading.Event, last_words: Callable[[Exception], None]) -> None:
        while self._mates and not over.wait(0.5):
            lost = self.lost()
            if lost and not over.wait(GRACE):
                last_words(lost.reason())
                os._exit(1)


class Crew:
    """All processes of a run, seen from rank 0. Enter it before anything can fail, as others may wait already."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._mates = Mates()
        self._group = ExitStack()
        self._met = False

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End what is left. Processes that were started elsewhere, and wait, are told that nothing comes."""
        try:
            if not self._met and (self.world.external or self.world.nodes > 1):
                self._meet()
                from_first(None)
        finally:
            self._mates.end(0.0 if kind else GOING)
            self._group.close()

    @contextmanager
    def at_work(self, task: object, last_words: Callable[[Exception], None]) -> Iterator[None]:
        """All have `task`, which must be picklable, and work on it in the block.

        Raises what ended another process, where that ended the block, too.
        """
        self._meet()
        from_first(task)
        try:
            with self._mates.watched(last_words):
                yield
        except (UserError, TrainingError):
            raise
        except Exception as error:
            raise self._cause(error) from error

    def _meet(self) -> None:
        store: Any = None
        world = self.world
        if world.nodes == 1 and not world.external:
            store = meeting_point(world)
            world = replace(world, port=store.port)
        self._mates.start(world)
        self._group.enter_context(gathered(world, store))
        self._met = True

    def _cause(self, error: Exception) -> Exception:
        """What really happened, where the error is that of a sum that another process has left."""
        if not _was_left(error):
            return error
        deadline = time.monotonic() + GOING
        while time.monotonic() < deadline:
            lost = self._mates.lost()
            if lost:
                return lost.reason()
            time.sleep(0.1)
        return TrainingError(_ELSEWHERE)


def follow(world: World, work: Callable[[Any, World], None]) -> None:
    """Meet the others, take the task that rank 0 sends, and work on it; nothing where rank 0 has none.

    Raises what ended it; UserError where that happened in another process.
    """
    mates = Mates()
    try:
        mates.start(world)
        with gathered(world):
            task = from_first(None)
            with mates.watched(lambda reason: _log.error("%s", reason)):
                if task is not None:
                    work(task, world)
    except BaseException as error:
        mates.end(0.0)
        if _was_left(error):
            raise UserError(_ELSEWHERE) from error
        raise
    mates.end(GOING)


def _was_left(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and not isinstance(error, TrainingError) and bool(_LEFT.search(str(error)))
