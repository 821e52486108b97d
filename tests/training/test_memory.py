"""Which errors mean too little memory, sizes that come next, and an address space that really is too small."""

import resource
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.training.hardware.memory import OutOfMemory, first_that_fits, halves, is_out_of_memory
from darts_train.training.hardware.portions import Portions, in_portions
from darts_train.training.module import SegmentationModule
from tests.support.small_memory import CPU
from tests.training.test_module import config


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (torch.OutOfMemoryError("x"), True),
        (MemoryError(), True),
        (OutOfMemory("x"), True),
        (RuntimeError(CPU), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_that_say_that_memory_is_short(error, meant):
    assert is_out_of_memory(error) == meant


@settings(max_examples=50)
@given(st.integers(1, 10_000))
def test_portions_are_always_the_whole_batch(batch_size):
    found = list(Portions(batch_size).and_smaller())
    assert all(portions.size * portions.count == batch_size for portions in found)
    assert all(2 * b.size <= a.size for a, b in pairwise(found))
    assert found[-1].size == 1


def test_sizes_that_are_tried():
    assert [portions.size for portions in Portions(12).and_smaller()] == [12, 6, 3, 1]
    assert [portions.size for portions in Portions(10).and_smaller()] == [10, 5, 2, 1]
    assert list(halves(7)) == [3, 1]
    assert list(halves(1)) == []


def test_an_epoch_in_its_middle_is_counted_in_smaller_portions():
    middle = {"batches": 6, "steps": 6, "loss_sum": 3.0, "portions": 2}
    current = {"ready": 6, "started": 6, "processed": 6, "completed": 5}
    progress = {"total": {"ready": 26, "started": 26, "processed": 26, "completed": 25}, "current": current}
    loops = {"fit_loop": {"epoch_loop.batch_progress": progress}}
    in_portions(middle, loops, 5)
    assert middle == {"batches": 15, "steps": 15, "loss_sum": 7.5, "portions": 5}
    assert current == {"ready": 15, "started": 15, "processed": 15, "completed": 14}
    assert progress["total"] == {"ready": 35, "started": 35, "processed": 35, "completed": 34}
    before = dict(middle)
    in_portions(middle, loops, 5)
    assert middle == before


@contextmanager
def room(megabytes: int):
    """This process may take so much more memory than it has."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    taken = next(int(line.split()[1]) for line in lines if line.startswith("VmSize")) * 1024
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + megabytes * 2**20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs the size of a process's address space")
def test_the_size_that_fits_into_a_limited_address_space_is_found():
    """A step of a patch of 128 pixels takes about 8 MB here."""
    torch.set_num_threads(1)
    patch = {"x": torch.zeros(1, 3, 128, 128, dtype=torch.int16), "y": torch.zeros(1, 128, 128, dtype=torch.uint8)}

    def made():
        return SegmentationModule(config(), augment=False)

    with room(1024):
        assert first_that_fits(made, patch, (4096, 2), "32", torch.device("cpu")) == 2
