import errno
import pickle

import pytest

from darts_train.base.disk_room import NoRoomError
from darts_train.base.errors import UserError
from darts_train.base.locks import HeldError
from darts_train.experiments.failures import MachineError, failure_kind
from darts_train.experiments.fleet.messages import Failed
from darts_train.training.errors import OutOfMemory, TrainingError, UntrainableError


def caused_by(error, cause):
    try:
        try:
            raise cause
        except Exception:
            raise error from None
    except Exception as raised:
        return raised


KINDS = [
    (OutOfMemory("x"), "memory"),
    (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "memory"),
    (TrainingError("the loss is not finite"), "numbers"),
    (UntrainableError("leave out --compile"), "configuration"),
    (UserError("--model-arch: there is no Unett"), "configuration"),
    (caused_by(UserError("patch 3 is damaged"), ValueError("crc")), "configuration"),
    (caused_by(UserError("patch 3 cannot be read"), OSError(errno.ESTALE, "stale handle")), "machine"),
    (NoRoomError("run cannot be written"), "machine"),
    (HeldError("the run is being written by another process"), "machine"),
    (caused_by(RuntimeError("PytorchStreamWriter failed"), OSError(errno.ENOSPC, "no space")), "machine"),
    (PermissionError("no"), "machine"),
    (MemoryError(), "machine"),
    (BrokenPipeError(), "machine"),
    (MachineError("killed by signal 9"), "machine"),
    (RuntimeError("CUDA error: unspecified launch failure"), "machine"),
    (RuntimeError("CUDA error: device-side assert triggered"), "bug"),
    (RuntimeError("shapes do not match"), "bug"),
    (KeyError("x"), "bug"),
]


@pytest.mark.parametrize(("error", "kind"), KINDS, ids=lambda value: str(value)[:30])
def test_every_failure_has_a_kind_that_it_keeps_on_its_way(error, kind):
    assert failure_kind(error) == kind
    sent = pickle.loads(pickle.dumps(Failed.of(error))).error()
    assert failure_kind(sent) == kind
    assert str(sent) == str(error)
