"""Processes to be killed: forked from a server that has already imported what they need, so that each starts at once.

multiprocessing has one such server per process, and what it imports is settled when it starts. A test module that needs
another one than the module before it therefore starts it anew; those that need the same one share it.
"""

import faulthandler
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

from tests.support.disk import do_not_wait

DEADLINE = 100.0  # seconds; a process that takes longer hangs, and says where
_imported: list[tuple[str, ...]] = []  # by the server that runs


class ForkServer:
    """Starts processes; `fork_server` makes one."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")

    def start(self, target: Callable[..., Any], *args: Any) -> multiprocessing.Process:
        """A started process that calls `target`, with one thread for every library that asks the environment."""
        process = self._context.Process(target=_call, args=(target, args))
        process.start()
        return process

    def call(self, target: Callable[..., Any], *args: Any) -> int | None:
        """The exit code of a process that calls `target`; minus a signal's number where it was killed."""
        process = self.start(target, *args)
        process.join(DEADLINE + 10)
        return process.exitcode


@contextmanager
def fork_server(*modules: str) -> Iterator[ForkServer]:
    """A server that has imported `modules`. They must not start threads: a fork would lose them."""
    server = ForkServer()
    if _imported != [modules]:
        forkserver._forkserver._stop()
        _imported[:] = [modules]
    server._context.set_forkserver_preload([__name__, *modules])  # this one too: it imports pytest
    with pytest.MonkeyPatch.context() as patch:
        # The server looks for what it imports beforehand on the path of a fresh interpreter.
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        for library in ("OMP", "MKL", "OPENBLAS"):
            patch.setenv(f"{library}_NUM_THREADS", "1")
        forkserver.ensure_running()
    yield server


def _call(target: Callable[..., Any], args: tuple[Any, ...]) -> None:
    faulthandler.dump_traceback_later(DEADLINE, exit=True)
    do_not_wait()
    target(*args)
