"""Processes that obey permission bits, also when the tests run as root."""

import ctypes
import subprocess
from typing import Any

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


def _drop_override() -> None:
    """Take root's right to pass over permission bits from what is executed next; no effect for other users."""
    libc = ctypes.CDLL(None)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def run_unprivileged(arguments: list[str], **settings: Any) -> subprocess.CompletedProcess[str]:
    """As subprocess.run with captured text, in a process for which a read-only directory is read-only."""
    return subprocess.run(arguments, capture_output=True, text=True, preexec_fn=_drop_override, **settings)
