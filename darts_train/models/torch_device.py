"""The device that a command's `--device` means."""

import torch

from darts_train.base.errors import UserError


def known_devices() -> list[str]:
    """Names of the devices of this machine: cpu, then cuda:0, cuda:1 and so on."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return ["cpu", *(f"cuda:{index}" for index in range(count))]


def torch_device(text: str | None) -> torch.device:
    """`auto` (or None): the first CUDA device, else the CPU; `cpu`; `0`, `cuda` or `cuda:0`.

    Only counts devices: no CUDA context is made, so a process may still be forked afterwards.
    Raises UserError naming the devices there are.
    """
    known = known_devices()
    name = (text or "auto").strip().lower()
    if name == "auto":
        return torch.device(known[1] if len(known) > 1 else "cpu")
    if name == "cuda":
        name = "cuda:0"
    elif name.isdecimal():
        name = f"cuda:{int(name)}"
    if name not in known:
        raise UserError(f"--device: there is no {text} here; use auto or one of {', '.join(known)}.")
    return torch.device(name)
