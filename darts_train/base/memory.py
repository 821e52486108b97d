"""Memory given back to the machine between two pieces of work.

glibc keeps what was freed for the next allocation, in pieces of up to 32 MB; after some tiles of changing size that are
hundreds of megabytes per process, which nobody uses.
"""

import ctypes
import sys
from functools import cache
from typing import Any


def release_freed_memory() -> None:
    """Ask the C library to return what was freed; nothing happens where it cannot."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None
