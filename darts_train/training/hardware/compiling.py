"""`--compile`: the network's training step as code made for its device (torch.compile).

Only what trains is compiled. Validation, pictures and maps call the network itself, so a score is computed as
`test-smp` computes it, and a last batch of another size does not have everything compiled anew. The compiled call
stands beside the network, not around it: names in checkpoints are those of the network.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from darts_train.base.errors import UserError
from darts_train.options.learning import Training

BACKEND = "inductor"
_MODULES = ("torch._dynamo", "torch._inductor")  # where errors of compiling come from


def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
    """A call of the network that is compiled when it is first made, for one shape of batch at a time."""

    def call(x: Tensor) -> Tensor:
        logits: Tensor = network(x)
        return logits

    return torch.compile(call, backend=BACKEND, dynamic=False)


def check_compiling(training: Training, device: torch.device) -> None:
    """Raise UserError where `--compile` is asked for and cannot be, before anything is trained."""
    if not training.compile:
        return
    if training.gradient_checkpointing:
        raise UserError("--compile and --gradient-checkpointing exclude each other; give one.")
    reason = _obstacle(device.type, BACKEND)
    if reason:
        needed = "a C++ compiler such as g++" if device.type == "cpu" else "Triton and a C compiler"
        raise UserError(f"--compile: torch cannot compile here ({reason}); it needs {needed}. Or leave it out.")


@functools.lru_cache(maxsize=8)
def _obstacle(device: str, backend: str) -> str | None:
    """Why a sum of two numbers cannot be compiled for a device, in one line; None where it can. Asked by trying."""
    try:
        torch.compile(_twice, backend=backend, dynamic=False)(torch.ones(8, device=device))
    except Exception as error:  # whatever is missing: a compiler, headers, a place for files
        return first_line(error)
    return None


def _twice(x: Tensor) -> Tensor:
    return x.sin() + x


def is_of_compiling(error: BaseException) -> bool:
    """Whether an error says that a network cannot be compiled."""
    return type(error).__module__.startswith(_MODULES)


def first_line(error: BaseException) -> str:
    """The first line of an error, short."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{lines[0] if lines else type(error).__name__:.120}"
