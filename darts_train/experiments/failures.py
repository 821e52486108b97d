"""Why a run failed: of five kinds, which say what is to be done about it.

| kind          | what it is                                          | in a search                        |
|---------------|-----------------------------------------------------|------------------------------------|
| memory        | the device has too little memory                    | the trial is infeasible            |
| numbers       | the loss is not finite                              | the trial failed                   |
| configuration | settings that cannot be, damaged data               | the trial failed                   |
| machine       | a disk, a device or a process that went             | the run is tried again             |
| bug           | anything else: a mistake in a program               | the search stops                   |

Errors that come from another process bring their kind along (`KIND`): of what caused them only that is left.
"""

import errno
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from darts_train.base.disk_room import NoRoomError, cause_of_full_disk
from darts_train.base.errors import UserError
from darts_train.base.locks import HeldError
from darts_train.training.errors import OutOfMemory, TrainingError, UntrainableError

if TYPE_CHECKING:
    from darts_train.artifacts.run_infos import FailureKind

KIND = "failure_kind"  # attribute of an error whose kind was found out where it was raised
MEMORY = re.compile("out of memory|can't allocate memory|not enough memory|alloc_failed|bad_alloc", re.IGNORECASE)
# Of a driver, a card that fell off its bus, and a process that fed the network; not of a kernel's wrong index.
LOST = re.compile(
    "no cuda-capable device|busy or unavailable|uncorrectable|ecc error|driver shutting down"
    "|unspecified launch failure|cuda error: unknown error|device unavailable|device is lost|fallen off the bus"
    "|nvml|initialization error|dataloader worker",
    re.IGNORECASE,
)
# Of a file system or a network that is gone, of a machine that has none left: whatever error is built over them.
TROUBLE = {
    errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN,
    errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETUNREACH, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS,
}  # fmt: skip


class MachineError(Exception):
    """A process was killed, or a device is gone: nothing that a run's settings have to do with."""


class BugError(Exception):
    """A run failed for a mistake in a program: it would do so again, in every other trial."""


def failure_kind(error: BaseException) -> "FailureKind":
    """Of what kind the failure is that `error` ended a run with."""
    known: FailureKind | None = getattr(error, KIND, None)
    if known is not None:
        return known
    if isinstance(error, OutOfMemory):
        return "memory"
    if _is_of_machine(error):
        return "machine"
    if isinstance(error, UserError | UntrainableError):
        return "configuration"
    if isinstance(error, TrainingError | FloatingPointError):
        return "numbers"
    if isinstance(error, RuntimeError) and MEMORY.search(str(error)):  # torch's own, where training did not meet it
        return "memory"
    return "bug"


def _is_of_machine(error: BaseException) -> bool:
    if isinstance(error, MachineError | NoRoomError | HeldError | OSError | MemoryError | EOFError):
        return True
    if cause_of_full_disk(error) is not None:
        return True
    if isinstance(error, RuntimeError) and LOST.search(str(error)):
        return True
    return any(isinstance(one, OSError) and one.errno in TROUBLE for one in _behind(error))


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that caused it."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
