"""Where a run computes, in what precision, and how repeatable that is."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from darts_train.base.errors import UserError
from darts_train.base.heap import keep_freed_memory
from darts_train.models.torch_device import torch_device
from darts_train.options.learning import Precision


def resolve_device(text: str | None) -> tuple[str, list[int] | int]:
    """Lightning's (accelerator, devices) for `--device`: ("cpu", 1) or ("cuda", [index]).

    Raises UserError naming the devices that exist.
    """
    device = torch_device(text)
    return ("cpu", 1) if device.type == "cpu" else ("cuda", [device.index or 0])


def resolve_precision(precision: Precision, device: torch.device) -> Precision:
    """`auto` as what the device is good at: bf16-mixed where that is quicker, else 32.

    Raises UserError for 16-mixed on the CPU, which has no such arithmetic.
    """
    if precision == "auto":
        return "bf16-mixed" if _has_bfloat16(device) else "32"
    if precision == "16-mixed" and device.type == "cpu":
        raise UserError("--precision 16-mixed needs a CUDA device; use 32 or bf16-mixed on the CPU.")
    return precision


def _has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is the quicker arithmetic of a device: on a CPU with AMX's matrix units alone.

    With AVX512-BF16 only, its casts cost more than its products save (a Unet learned a sixth slower).
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(supported and supported())


@contextmanager
def arithmetic(device: torch.device) -> Iterator[None]:
    """Repeatable and fast on the CPU, fast on CUDA; what was set of torch before comes back afterwards.

    CPU: freed memory stays with the process (`base.heap`), and algorithms are deterministic, so that two runs of one
    seed are equal bit for bit (on the same machine, versions and number of threads). CUDA: float32 matrix products with
    TensorFloat-32, which is what `medium` allows at least.
    """
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    matmul = torch.get_float32_matmul_precision()
    if device.type == "cpu":
        keep_freed_memory()
        torch.use_deterministic_algorithms(True, warn_only=True)
    else:
        torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.set_float32_matmul_precision(matmul)
