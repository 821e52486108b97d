"""Too little memory on the device: which errors say so, and which batch would fit."""

import gc
import traceback
from collections.abc import Callable, Iterable, Iterator

import torch

from darts_train.options.learning import Precision
from darts_train.training.bare import BareSteps
from darts_train.training.errors import OutOfMemory as OutOfMemory
from darts_train.training.hardware.devices import arithmetic
from darts_train.training.loading.patches import Batch
from darts_train.training.module import SegmentationModule

NEEDS_TWO = "Expected more than 1 value per channel"  # torch, of batch normalisation
# Of messages that come as plain RuntimeErrors: the allocators of CUDA and the CPU, cuBLAS and cuDNN, C++.
_SAYS_SO = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed", "bad_alloc")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left; of the CPU it is one of no class of its own."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError | OutOfMemory):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _SAYS_SO)


def halves(size: int) -> Iterator[int]:
    """Half of `size`, half of that, down to 1."""
    while size > 1:
        size //= 2
        yield size


def first_that_fits(
    make: Callable[[], SegmentationModule],
    patch: Batch,
    sizes: Iterable[int],
    precision: Precision,
    device: torch.device,
) -> int | None:
    """The first of `sizes` of a batch with which training steps go through on `device`; None where none does.

    `make` builds the network of the run, `patch` is a batch of one. Steps are real ones, so that nothing has to be
    known of the network: forward, backward, the optimiser's state, and a second time beside it. A batch that is too
    small for batch normalisation does not fit either. The generators of random numbers are left as they were.
    """
    try:
        for size in sizes:
            release(device)
            if _goes_through(make, patch, size, precision, device):
                return size
        return None
    finally:
        release(device)


def _goes_through(
    make: Callable[[], SegmentationModule], patch: Batch, size: int, precision: Precision, device: torch.device
) -> bool:
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []), arithmetic(device):
            module = make().to(device)
            if module.average is not None:
                module.average.begin()
            steps = BareSteps(module, precision, device, together=min(module.settings.accumulate_grad_batches, 2))
            batch = {name: part.expand(size, *part.shape[1:]).contiguous() for name, part in patch.items()}
            for _ in range(2 * steps.together):
                steps(batch)
            steps.wait()
    except Exception as error:
        if is_out_of_memory(error) or NEEDS_TWO in str(error):
            return False
        raise
    return True


def forget(error: BaseException | None) -> None:
    """Empty the frames that an error and its causes hold on to: the tensors of a step that failed are in them."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def release(device: torch.device) -> None:
    """Give back what nobody holds any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def advice(batch_size: int, fitting: int | None) -> str:
    """The line for a batch that did not fit; `fitting` is the size of one that does."""
    if fitting is not None:
        return (
            f"the device has too little memory for --batch-size {batch_size}; --batch-size {fitting} fits. "
            "--auto-batch learns the larger one in portions."
        )
    return (
        f"the device has too little memory for --batch-size {batch_size}, and no smaller one works; take "
        "--gradient-checkpointing, a smaller --model-encoder, or smaller patches."
    )
