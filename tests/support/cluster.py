"""A real Dask cluster on loopback."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def dask_cluster(workers=2):
    """A scheduler and worker processes, each with a nanny, as an administrator starts them; gives the address."""
    with tempfile.TemporaryDirectory() as place:
        log = Path(place) / "scheduler.log"
        scheduler = _start(place, log, "dask_scheduler", "--host", "127.0.0.1", "--port", "0")
        address = _address(log)
        nannies = _start(place, Path(place) / "worker.log", "dask_worker", address, "--nthreads", "1",
                         "--nworkers", str(workers), "--local-directory", place)  # fmt: skip
        try:
            yield address
        finally:
            for process in (nannies, scheduler):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _start(place, log, tool, *arguments):
    """One process of distributed in a group of its own, so that all of it can be stopped."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", f"distributed.cli.{tool}", *arguments, "--no-dashboard"]
    with log.open("w") as file:
        return subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True, env=environment)


def _address(log, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = re.search(r"Scheduler at:\s+(\S+)", log.read_text())
        if found:
            return found[1]
        time.sleep(0.1)
    raise TimeoutError(f"no scheduler after {seconds} s: {log.read_text()[-500:]}")
