"""Processes of one run, forked instead of started: what they import is there already.

Use it in a process of `forking.fork_server` alone: where threads live a fork would lose them.
"""

import os
import sys
from dataclasses import dataclass, field
from typing import BinaryIO

import pytest
import torch

from darts_train.experiments.one_run import crew, follower
from darts_train.experiments.one_run.mates import Mate
from darts_train.training.hardware.ranks import World


@dataclass
class _Forked:
    """As much of a Popen as a mate needs."""

    pid: int
    stdin: BinaryIO
    stdout: BinaryIO
    returncode: int | None = field(default=None)

    def poll(self) -> int | None:
        return self._look(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int | None:
        return self._look(0)

    def kill(self) -> None:
        os.kill(self.pid, 9)

    def _look(self, how: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, how)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


def fork_mates(patch: pytest.MonkeyPatch, sabotage=None) -> None:
    """Have a run of this process fork the others; `sabotage` is called in each before it begins."""

    def start(world: World) -> Mate:
        (ours_in, theirs_out), (theirs_in, ours_out) = os.pipe(), os.pipe()
        errors = open(os.memfd_create("errors"), "w+b")  # noqa: SIM115
        pid = os.fork()
        if not pid:
            for source, target in ((theirs_in, 0), (theirs_out, 1), (errors.fileno(), 2)):
                os.dup2(source, target)
            os.close(ours_out)
            os.close(ours_in)
            sys.stdin = open(0)  # noqa: SIM115
            torch.set_num_threads(1)
            if sabotage:
                sabotage()
            os._exit(follower.main())
        os.close(theirs_in)
        os.close(theirs_out)
        import pickle

        stdin, stdout = open(ours_out, "wb"), open(ours_in, "rb")  # noqa: SIM115
        stdin.write(pickle.dumps(world))
        stdin.flush()
        return Mate(world, _Forked(pid, stdin, stdout), errors)

    patch.setattr(crew, "start", start)
