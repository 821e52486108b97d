"""Freed memory that is kept: whether the next array needs new pages."""

import subprocess
import sys

import pytest

CODE = """
import resource, sys
import numpy as np
from darts_train.base.heap import keep_freed_memory
kept = sys.argv[1] == "kept" and keep_freed_memory()
np.ones(40_000_000, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(40_000_000, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how):
    done = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the setting is of glibc")
def test_freed_memory_is_used_again():
    given_back = faults("plain")
    if given_back < 50:  # pages may be huge ones
        pytest.skip("this C library keeps large blocks by itself")
    assert faults("kept") < given_back / 5
