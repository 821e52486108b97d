"""One thread for each of the two test workers: more would wait for each other. Slow files first; a logger per test.

Properties are tried with few examples; `--hypothesis-profile=thorough` tries many.
"""

import gc
import logging
import os
import sys

import pytest
from hypothesis import settings

from tests.support.disk import do_not_wait

settings.register_profile("quick", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=400, deadline=None)
settings.load_profile("quick")
do_not_wait()
gc.disable()  # while modules are imported; on again once all are

# Many processes import torch here. Where compiled modules are not kept, each compiles it anew, for fifteen seconds.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

for library in ("OMP", "MKL", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")


# Files for one worker, one after the other: each would else start another server of forks that has imported torch,
# or set up torch's exporter once more.
TOGETHER = {
    "tests/experiments/test_devices.py": "forked",
    "tests/experiments/test_run_kill.py": "forked",
    "tests/export/test_onnx.py": "exported",
    "tests/experiments/test_run_fit.py": "exported",
    "tests/quickstart/test_recipe.py": "exported",
}


def pytest_xdist_make_scheduler(config, log):
    """One file per worker, as `--dist loadfile` has it, but for those that share what is dear."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            return TOGETHER.get(file, file)

    return Together(config, log)


def pytest_collection_finish(session):
    """What the modules hold lives until the end: no collection need walk over it again."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure(config):
    """At the end it is collected: some libraries report what they find alive then."""
    gc.unfreeze()
    gc.enable()


def pytest_collection_modifyitems(items):
    """Files with slow tests first, so that no worker is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    groups = list(dict.fromkeys(TOGETHER.values()))

    def order(item):
        group = TOGETHER.get(item.nodeid.split("::")[0])
        return groups.index(group) if group else len(groups) + (item.path not in slow)

    items.sort(key=order)


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
