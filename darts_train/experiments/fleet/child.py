"""`python -m darts_train.experiments.fleet.child FD`: a process that does runs, one after the other, as it is told.

It has no connection to a database. Its standard input stays open as long as the process that started it lives; what
it logs is logged there. Ctrl+C of a terminal does not reach it: the parent decides.
"""

import functools
import importlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from darts_train.base.locks import HeldError
from darts_train.base.log import ROOT
from darts_train.experiments.fleet.messages import Answer, Failed, Left, Outcome, Task, Validated

INTERRUPTED = 130
PATIENCE = 10.0  # seconds: a process that was killed with its parent holds the run's lock until it is really gone


class Line:
    """The pipe to the parent; several threads may say something."""

    def __init__(self, connection: "Connection[Any, Any]") -> None:
        self.connection = connection
        self._lock = threading.Lock()

    def say(self, message: object) -> None:
        """Send one message."""
        with self._lock:
            self.connection.send(message)

    def ask(self, epochs: int, metrics: Any) -> str | None:
        """Show a validation; why to stop, or None."""
        self.say(Validated(epochs, dict(metrics)))
        answer = self.connection.recv()
        assert isinstance(answer, Answer)
        return answer.reason


class SaysLogs(logging.Handler):
    """Sends what is logged to the parent, whose handlers show and keep it."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self.line = line

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record: its text, for its arguments may be anything."""
        text = self.format(record)
        plain = logging.LogRecord(record.name, record.levelno, record.pathname, record.lineno, text, (), None)
        with suppress(OSError):  # the parent is gone
            self.line.say(plain)


def main() -> int:
    """Do what is asked for until nobody is there to ask."""
    os.dup2(2, 1)  # what a library prints is nothing that the command says
    line = Line(Connection(int(sys.argv[1])))
    leave_with_parent()
    log = logging.getLogger(ROOT)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(SaysLogs(line))
    while True:
        try:
            task = line.connection.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return 0
        line.say(_done(task, line))


def leave_with_parent() -> None:
    """From now on this process ends when the other end of its standard input is gone."""

    def wait() -> None:
        with suppress(OSError):
            while os.read(0, 4096):  # not of sys.stdin: its lock, held at the end, makes Python abort
                pass
        os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _done(task: Task, line: Line) -> Outcome | Failed | Left:
    try:
        function = load(task.function)
        if task.asks:
            function = functools.partial(function, on_validation=line.ask)
        return Outcome.of(_patient(function, task.arguments))
    except KeyboardInterrupt:
        return Left(INTERRUPTED)
    except SystemExit as stop:
        return Left(stop.code if isinstance(stop.code, int) else 1)
    except Exception as error:
        return Failed.of(error)


def _patient(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return function(*arguments)
        except HeldError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.25)


def load(name: str) -> Callable[..., Any]:
    """The function that is called `module:name`."""
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found


if __name__ == "__main__":
    sys.exit(main())
