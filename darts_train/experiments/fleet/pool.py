"""Several runners of one search on one machine: a process for each slot, all watched from here.

Each runner has its own log file, `{search}/_logs/runner-{slot}-{device}.log`. One that is killed is replaced, and its
trial is taken up by whoever comes first. A bug in one stops them all. Signals reach only this process, which passes
them on: the first Ctrl+C lets epochs end, the second one leaves at once.
"""

import dataclasses
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait as any_of
from typing import Any

from darts_train.base.errors import UserError
from darts_train.experiments.failures import MachineError
from darts_train.experiments.fleet.live_table import SECONDS, LiveTable
from darts_train.experiments.fleet.messages import Failed
from darts_train.experiments.fleet.posts import Ended, MayGoOn, Post
from darts_train.experiments.fleet.progress import TrialEnd
from darts_train.experiments.fleet.signals import taken_by
from darts_train.experiments.fleet.standing import Standing
from darts_train.experiments.fleet.worker import Process, how_it_ended
from darts_train.experiments.searching.runner import Runner

LOGS = "_logs"  # in a search's directory
RESTARTS = 20  # of one slot, so that one that dies at its start does not go on for ever
# Fields of a runner that each makes for itself.
OWN = ("database", "study", "leases", "device", "execute", "watch")
LEAVING = 15.0  # seconds after the second Ctrl+C


class Pool:
    """The runners of a search. `runner` says what they are to be like; `function` does a run, as `module:name`."""

    def __init__(self, runner: Runner, slots: Sequence[str], function: str) -> None:
        self.runner, self.slots, self.function = runner, tuple(slots), function
        self._processes: dict[int, Process] = {}
        self._restarts = dict.fromkeys(range(len(slots)), 0)
        self._granted: set[int] = set()  # slots that may take, or have taken, a trial of `count`
        self._done = 0
        self._bug: Exception | None = None
        self._error: Exception | None = None  # of a runner that gave up; the others go on
        self._ended = 0  # runners that had nothing left to do
        self._stopping: BaseException | None = None

    def run(self, count: int | None, total: int | None = None, wait: bool = False) -> int:
        """As `Runner.run`; gives how many trials were ended. Raises as that, once all runners have left."""
        search = self.runner.search
        before = sum(trial.state.is_finished() for trial in self.runner.trials())
        limits = [count, *(limit and max(limit - before, 0) for limit in (total, search.limit))]
        runs = search.folds * len(search.seeds)
        names = tuple(f"{slot}:{device}" for slot, device in enumerate(self.slots))
        shown = LiveTable(Standing(names, _least(limits), runs, search.rule.better))
        (search.directory / LOGS).mkdir(parents=True, exist_ok=True)
        self._posts = [self._post(slot, total, wait) for slot in range(len(self.slots))]
        try:
            with self._listening(shown):
                for slot in range(len(self.slots)):
                    self._start(slot)
                while self._processes:
                    self._hear(shown, count)
                    shown.draw()
        finally:
            self._end_all()
        if self._stopping:
            raise self._stopping
        if self._bug or (self._error and not self._ended):
            raise self._bug or self._error or AssertionError
        return self._done

    def _post(self, slot: int, total: int | None, wait: bool) -> Post:
        runner, device = self.runner, self.slots[slot]
        log_file = runner.search.directory / LOGS / f"runner-{slot}-{device.replace(':', '')}.log"
        fields = {f.name: getattr(runner, f.name) for f in dataclasses.fields(runner) if f.name not in OWN}
        return Post(
            runner.database.url, runner.leases.seconds, fields, device, self.function, total, wait, log_file
        )  # fmt: skip

    def _start(self, slot: int) -> None:
        post = self._posts[slot]
        with post.log_file.open("ab") as file:
            process = Process("darts_train.experiments.fleet.runner_process", stdout=subprocess.DEVNULL, stderr=file)
        with suppress(ConnectionError):  # it is gone already, which shows when it is listened to
            process.line.send(post)
        self._processes[slot] = process

    def _hear(self, shown: LiveTable, count: int | None) -> None:
        """Wait for what the runners say, and answer."""
        lines = {process.line: slot for slot, process in self._processes.items()}
        for line in any_of(list(lines), timeout=SECONDS):
            slot = lines[line]  # type: ignore[index]
            try:
                self._take(slot, self._processes[slot].line.recv(), shown, count)
            except (EOFError, ConnectionError):
                self._lost(slot, shown)

    def _take(self, slot: int, said: Any, shown: LiveTable, count: int | None) -> None:
        if isinstance(said, MayGoOn):
            others = len(self._granted - {slot})
            may = not (self._stopping or self._bug) and (count is None or self._done + others < count)
            self._granted = self._granted | {slot} if may else self._granted - {slot}
            self._processes[slot].line.send(may)
        elif isinstance(said, Ended):
            self._granted.discard(slot)
            self._ended += 1
            self._processes.pop(slot).end(LEAVING)
            shown.standing.words[slot] = "done"
        elif isinstance(said, Failed):
            self._failed(slot, said.error(), shown)
        else:
            if isinstance(said, TrialEnd):
                self._done += 1
                self._granted.discard(slot)
            shown.take(slot, said)

    def _failed(self, slot: int, error: Exception, shown: LiveTable) -> None:
        """A runner gives up: a bug stops all of them, anything else only it."""
        self._granted.discard(slot)
        self._processes.pop(slot).end(LEAVING)
        shown.standing.words[slot] = "failed"
        shown.say(f"runner {slot} ({self.slots[slot]}): {error}")
        if isinstance(error, UserError):
            self._error = self._error or error
        else:
            self._bug = self._bug or error
            self._signal(signal.SIGINT)

    def _lost(self, slot: int, shown: LiveTable) -> None:
        """A runner has died without a word."""
        self._granted.discard(slot)
        how = how_it_ended(self._processes.pop(slot).end(LEAVING))
        shown.standing.now.pop(slot, None)
        shown.standing.words[slot] = "left"
        if self._stopping or self._bug:
            return
        self._restarts[slot] += 1
        again = self._restarts[slot] <= RESTARTS
        shown.say(f"runner {slot} ({self.slots[slot]}) {how}; {'another one begins' if again else 'it is left so'}")
        if again:
            self._start(slot)
        else:
            self._error = self._error or MachineError(f"runner {slot} {how}, again and again")

    @contextmanager
    def _listening(self, shown: LiveTable) -> Iterator[None]:
        """Pass signals on during the block."""

        def interrupt(*_: Any) -> None:
            if self._stopping:
                self._signal(signal.SIGINT)  # the second one
                return
            self._stopping = KeyboardInterrupt()
            shown.say("Ctrl+C: the epochs in work are finished first; Ctrl+C once more leaves at once.")
            self._signal(signal.SIGINT)

        def terminate(*_: Any) -> None:
            self._stopping = self._stopping or SystemExit(128 + signal.SIGTERM)
            self._signal(signal.SIGTERM)

        with taken_by({signal.SIGINT: interrupt, signal.SIGTERM: terminate}):
            yield

    def _signal(self, number: int) -> None:
        for process in list(self._processes.values()):
            process.signal(number)

    def _end_all(self) -> None:
        deadline = time.monotonic() + LEAVING
        for slot in list(self._processes):
            self._processes.pop(slot).end(max(deadline - time.monotonic(), 0.0))


def _least(limits: Sequence[int | None]) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
