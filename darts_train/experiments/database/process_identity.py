"""Names for processes that tell, on the same machine, whether the process still lives.

A number alone is no name: numbers are used again, and containers count their own. Boot, process namespace, number and
start time together are. Where /proc does not say (other systems), no process is ever taken for dead.
"""

import os
import secrets
from pathlib import Path

PROC = Path("/proc")
STATE, START = 0, 19  # positions after the command in /proc/{pid}/stat
DEAD_STATES = ("Z", "X", "x")


def own_identity() -> str:
    """A name for this process as of now; every call gives another one, for there may be several workers in it."""
    pid = os.getpid()
    return f"{_machine() or 'elsewhere'}/{pid}/{_start_time(pid) or 0}/{secrets.token_hex(4)}"


def is_dead(identity: str) -> bool:
    """Whether the process that gave itself this name is known to be gone. False where we cannot know."""
    machine, _, rest = identity.partition("/")
    parts = rest.split("/")
    if machine != _machine() or len(parts) != 3 or not parts[0].isdigit() or parts[1] == "0":
        return False
    return _start_time(int(parts[0])) != parts[1]


def _machine() -> str | None:
    """This boot of this machine, and its namespace of process numbers."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{os.readlink(PROC / 'self/ns/pid')}"
    except OSError:
        return None


def _start_time(pid: int) -> str | None:
    """When a process started, in ticks since boot; None where there is none, or only what is left of it."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[STATE] in DEAD_STATES else fields[START]
