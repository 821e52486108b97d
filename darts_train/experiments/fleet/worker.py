"""A process that trains, seen from the one that started it.

It is started clean (`child.py`), does many runs, for its imports take seconds, and is replaced where a run's failure
may have left it ill. Where it dies, the run failed for the machine: of whatever kills a process, a signal's number is
all that is left.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from darts_train.experiments.failures import MachineError
from darts_train.experiments.fleet.messages import Answer, Failed, Left, Outcome, Task, Validated

ILL = ("memory", "machine", "bug")  # kinds of failures after which a process is not used again
GOING = 5.0  # seconds in which a process that is not needed any more may leave by itself
Ask = Callable[[int, Mapping[str, float]], str | None]


class Process:
    """A Python process of its own session, with a pipe to it; it ends with this one."""

    def __init__(self, module: str, **options: Any) -> None:
        ours, theirs = Pipe()
        with theirs:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno())],
                stdin=subprocess.PIPE, pass_fds=[theirs.fileno()], start_new_session=True, **options,
            )  # fmt: skip
        self.line: Connection[Any, Any] = ours

    def signal(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        if self.popen.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.popen.pid, number)

    def end(self, patience: float) -> int:
        """Give it so many seconds to leave, then kill it: it writes nothing half. Gives its exit code."""
        self.line.close()
        try:
            code = self.popen.wait(patience)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            code = self.popen.wait()
        if self.popen.stdin is not None:
            self.popen.stdin.close()
        return code


class Worker:
    """Does one run at a time, each in a process that lives on."""

    def __init__(self, function: str) -> None:
        self.function = function
        self._process: Process | None = None

    def run(self, arguments: tuple[Any, ...], ask: Ask | None) -> Outcome:
        """Do a run; `ask` is shown its validations.

        Raises what ended the run, of its own type; MachineError where its process died; KeyboardInterrupt or SystemExit
        where it was told to leave.
        """
        end = self._do(Task(self.function, arguments, ask is not None), ask)
        if isinstance(end, Failed):
            if end.kind in ILL:
                self.end(0.0)
            raise end.error()
        if isinstance(end, Left):
            self.end(0.0)
            raise KeyboardInterrupt if end.code == 128 + signal.SIGINT else SystemExit(end.code)
        return end

    def signal(self, number: int) -> None:
        """Pass a signal on."""
        if self._process:
            self._process.signal(number)

    def end(self, patience: float = GOING) -> None:
        """End its process; the next run has a new one."""
        process, self._process = self._process, None
        if process:
            process.end(patience)

    def _do(self, task: Task, ask: Ask | None) -> Outcome | Failed | Left:
        if self._process is None or self._process.popen.poll() is not None:  # it may have been killed since
            self.end(0.0)
            self._process = Process("darts_train.experiments.fleet.child")
        line = self._process.line
        try:
            line.send(task)
            while True:
                said = line.recv()
                if isinstance(said, logging.LogRecord):
                    _log_again(said)
                elif isinstance(said, Validated):
                    line.send(Answer(ask(said.epochs, said.metrics) if ask else None))
                else:
                    end: Outcome | Failed | Left = said
                    return end
        except (EOFError, ConnectionError):
            raise self._lost() from None
        except BaseException:
            self.end(0.0)
            raise

    def _lost(self) -> MachineError:
        process, self._process = self._process, None
        if process is None:  # somebody ended it
            return MachineError("the process that trained was ended")
        return MachineError(f"the process that trained {how_it_ended(process.end(GOING))}")


def how_it_ended(code: int) -> str:
    """In words, of an exit code as subprocess gives it."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "unknown"
    memory = "; was the machine out of memory?" if -code == signal.SIGKILL else ""
    return f"was killed by signal {-code} ({name}){memory}"


def _log_again(record: logging.LogRecord) -> None:
    log = logging.getLogger(record.name)
    if log.isEnabledFor(record.levelno):
        log.handle(record)
