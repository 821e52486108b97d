"""One thread for each of the two test workers: more would wait for each other. Slow files first; a logger per test."""

import logging
import os
import sys

import pytest

# Many processes import torch here. Where compiled modules are not kept, each compiles it anew, for fifteen seconds.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")


def pytest_collection_modifyitems(items):
    """Files with slow tests first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def untouched_logger():
    """A program that ran in a test has set up the logger; the next test finds it as it was."""
    yield
    root = logging.getLogger("darts")
    root.propagate = True
    root.setLevel(logging.NOTSET)
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
