"""What is asked of a server that speaks KServe v2, whatever carries it."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from darts_train.base.errors import UserError

Tensor = npt.NDArray[np.floating[Any]]
ABSENT, NOT_READY, READY = "absent", "not ready", "ready"


class ServerFault(UserError):
    """A request that brought no answer; `again` where the same request may bring one."""

    def __init__(self, text: str, again: bool = False) -> None:
        super().__init__(text)
        self.again = again


def nonsense(url: str, what: str) -> ServerFault:
    """A server that answers, but not as KServe v2 has it."""
    return ServerFault(f"--url: {url} answers what is no KServe v2 ({what}); is it another service?")


def brief(error: object) -> str:
    """An error's text in one short line."""
    return " ".join(str(error).split())[:160] or type(error).__name__


class Client(Protocol):
    """One server. All methods raise ServerFault where it does not answer in time, or answers nonsense."""

    url: str

    def is_ready(self, name: str, version: str, seconds: float) -> bool:
        """Whether server and model are ready, asked within some seconds."""
        ...

    def metadata(self, name: str, version: str) -> dict[str, Any]:
        """The model's metadata: name, inputs, outputs."""
        ...

    def config(self, name: str, version: str) -> dict[str, Any] | None:
        """Triton's configuration of the model; None where the server has no such thing."""
        ...

    def settle(self) -> None:
        """Agree with the server on the form of tensors; asked once, when it is ready."""
        ...

    def infer(self, name: str, version: str, tensor: Tensor, names: tuple[str, str], datatype: str) -> Tensor:
        """What the model makes of a tensor; `names` of input and output. May be called by several threads at once."""
        ...
