"""What the files of older programs hold besides tensors and plain values, and may: dates, paths, numbers of NumPy.

torch's reader with `weights_only=True` calls nothing but what stands in its list. That list is made longer by harmless
values here, and shorter by what no network needs and a hostile file could take gigabytes or hours with. Whatever a
file calls a path or a NumPy number, what is called is a function of this file, which makes a plain value of it.
"""

import datetime
import functools
from collections.abc import Callable
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

_KINDS_OF_NUMBERS = "biuf"
_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")  # before NumPy 2, and since
_PATHLIB = ("pathlib", "pathlib._local")  # the latter of Python 3.13
_TABLES = (
    "collections.defaultdict",
    "lightning_fabric.utilities.data.AttributeDict",
    "lightning.fabric.utilities.data.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
    "lightning.pytorch.utilities.parsing.AttributeDict",
)
_FACTORIES = ("builtins.dict", "builtins.list", "builtins.int", "builtins.float", "builtins.str")  # of a defaultdict

REFUSED = frozenset(
    {
        "builtins.bytearray",
        "torch.Tensor",
        "torch._utils._rebuild_meta_tensor_no_storage",
        "torch._utils._rebuild_wrapper_subclass",
        "torch._utils._rebuild_device_tensor_from_numpy",
        "torch._utils._rebuild_device_tensor_from_cpu_tensor",
        "torch._tensor._rebuild_from_type_v2",
    }
)  # torch would take them


@functools.cache
def torch_names() -> frozenset[str]:
    """What torch's reader takes by itself, less what is refused here."""
    from torch._weights_only_unpickler import _get_allowed_globals

    return frozenset(_get_allowed_globals()) - REFUSED


class Table:
    """A dictionary with an attribute or two, which becomes a dictionary."""

    def __new__(cls, *_: Any) -> dict[Any, Any]:  # type: ignore[misc]
        """An empty dictionary, whatever it was."""
        return {}


class NumberType:
    """The type of a NumPy number, as pickles spell it: its name, then a state with its byte order."""

    def __init__(self, name: str, *_: Any) -> None:
        self.name, self.order = str(name), "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = str(state[1])

    def number(self, data: bytes) -> bool | int | float:
        """The number that some bytes are. Raises ValueError or TypeError for what is no number."""
        kind = np.dtype(self.name).newbyteorder(self.order if self.order in "<>" else "=")  # type: ignore[arg-type]
        if kind.kind not in _KINDS_OF_NUMBERS or not isinstance(data, bytes) or len(data) != kind.itemsize:
            raise ValueError(f"numpy {self.name} is not a number")
        value: bool | int | float = np.frombuffer(data, kind)[0].item()
        return value


def number(kind: Any, data: Any) -> bool | int | float:
    """A number of NumPy as Python's."""
    if not isinstance(kind, NumberType):
        raise TypeError("the type of a number is missing")
    return kind.number(data)


def posix_path(*parts: str) -> str:
    """A path as text."""
    return str(PurePosixPath(*parts))


def windows_path(*parts: str) -> str:
    """A path of Windows as text."""
    return str(PureWindowsPath(*parts))


def no_factory(*_: Any) -> None:
    """What stands for the factory of a dictionary with defaults; it is never called."""


def harmless() -> dict[str, Callable[..., Any]]:
    """By the name that a file gives: what is called instead. Dates are themselves; their constructors do nothing."""
    dates = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone)
    found: dict[str, Callable[..., Any]] = {f"datetime.{kind.__name__}": kind for kind in dates}
    for module in _PATHLIB:
        found |= {f"{module}.{name}": posix_path for name in ("PosixPath", "PurePosixPath", "Path", "PurePath")}
        found |= {f"{module}.{name}": windows_path for name in ("WindowsPath", "PureWindowsPath")}
    found |= {f"{module}.scalar": number for module in _NUMPY}
    found |= dict.fromkeys(_TABLES, Table) | dict.fromkeys(_FACTORIES, no_factory)
    return found | {"numpy.dtype": NumberType, "builtins.frozenset": frozenset}
