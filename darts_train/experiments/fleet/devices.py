"""The devices of a search, as its `--device` names them."""

from darts_train.base.errors import UserError


def device_names(text: str | None) -> tuple[str, ...]:
    """`0,1`, `cuda:1`, `cpu,cpu` or auto as the names of devices that are there; one may come twice, for two runners.

    Raises UserError naming the devices there are.
    """
    from darts_train.models.torch_device import torch_device

    parts = [part.strip() for part in (text or "auto").split(",")]
    if not all(parts):
        raise UserError(f"--device: {text!r} has an empty place; write 0,1 or cpu,cpu.")
    return tuple(str(torch_device(part)) for part in parts)
