"""Another process of this machine that takes part in a run: started clean, told where it belongs, and heard out.

It is `python -m darts_train.experiments.one_run.follower`, and not a fork or a spawn of multiprocessing: nothing that
runs here is copied, and the caller's script is not imported again, so a notebook or a script without a guard may start
it.
"""

import json
import pickle
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import BinaryIO

from darts_train.base.errors import UserError
from darts_train.training.hardware.ranks import World
from darts_train.training.module import TrainingError

READY = {"said": "ready"}


@dataclass
class Mate:
    """A process that was started."""

    world: World
    process: "subprocess.Popen[bytes]"
    errors: BinaryIO

    @property
    def is_lost(self) -> bool:
        """Whether it has ended, and not because it was done."""
        return bool(self.process.poll())

    def wait_until_ready(self) -> None:
        """Wait until it can meet us. Raises the reason where it ends instead."""
        if self._said() != READY:
            self.process.wait()
            raise self.reason()

    def reason(self) -> Exception:
        """Why it is lost: what it said itself, else what killed it."""
        said = self._said()
        if "error" in said:
            return (UserError if said.get("kind") == UserError.__name__ else TrainingError)(said["error"])
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        code = self.process.returncode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        words = f": {lines[-1]}" if lines else ""
        return TrainingError(f"process {self.world.rank} of the run ended before its time ({how}){words}")

    def _said(self) -> dict[str, str]:
        assert self.process.stdout is not None
        said: dict[str, str] = json.loads(self.process.stdout.readline() or "{}")
        return said


def start(world: World) -> Mate:
    """A process that follows rank 0 at this place, out of reach of the terminal's Ctrl+C."""
    errors = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as the process)
    process = subprocess.Popen(
        [sys.executable, "-m", "darts_train.experiments.one_run.follower"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(pickle.dumps(world))
    process.stdin.flush()  # and it stays open: its end tells the process that we are gone
    return Mate(world, process, errors)


def end(mates: list[Mate], patience: float) -> None:
    """Give all together `patience` seconds to leave, then kill them."""
    deadline = time.monotonic() + patience
    for mate in mates:
        try:
            mate.process.wait(max(deadline - time.monotonic(), 0.0))
        except subprocess.TimeoutExpired:
            mate.process.kill()
            mate.process.wait()
        for stream in (mate.process.stdin, mate.process.stdout, mate.errors):
            if stream is not None:
                stream.close()
