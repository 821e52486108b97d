"""How much main memory a process may still take: of the machine, or of its control group where that has less."""

from pathlib import Path

MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")  # what a container sees as its own, version 2


def available_memory() -> int | None:
    """Bytes that can be taken without swapping; None where the system does not say."""
    bounds = [bound for bound in (_of_machine(), _of_group()) if bound is not None]
    return min(bounds, default=None)


def _of_machine() -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines() if ":" in line)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def _of_group() -> int | None:
    """The limit less what is used; pages of files count as free."""
    try:
        limit = int((GROUP / "memory.max").read_text())  # "max" is no number: no limit
        used = int((GROUP / "memory.current").read_text())
        counts = dict(line.split() for line in (GROUP / "memory.stat").read_text().splitlines())
        return max(limit - used + int(counts.get("inactive_file", 0)), 0)
    except (OSError, ValueError):
        return None
