"""Files that torch writes: read without trusting them, and found out where a byte of them changed.

`weights_only=True` builds tensors and plain values and nothing else: a file that wants to run code is refused, never
unpickled. torch writes a CRC-32 of every part into the archive, and does not look at it when it reads: a flipped bit
of a weight would go unseen, so it is checked here (1 GB/s).
"""

import errno
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path


class DamagedFileError(UserError):
    """What can be read from the disk, but is not, or no longer, what was written."""


def write_tensor_file(path: Path, content: Any, former: Path | None = None) -> None:
    """`torch.save` atomically, `former` as in `atomic_path`.

    Raises OSError where the disk does not take it; torch may raise a RuntimeError over that.
    """
    with atomic_path(path, former) as temporary, temporary.open("wb") as file:
        torch.save(content, file)  # into a Python file: torch's own hides which error the disk gave


def read_tensor_file(path: Path, kind: str) -> Any:
    """The content, tensors on the CPU; `kind` says in messages what the file should have been.

    Raises UserError where the file cannot be read, DamagedFileError where it is cut off or changed, or would have to be
    unpickled.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such {kind}.") from None
    except PermissionError:
        raise UserError(f"{path} cannot be read; check its permissions.") from None
    except Exception as error:  # bytes from outside: whatever the unpickler makes of them
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which is torch's for an archive cut off
            raise UserError(f"{path} cannot be read ({error.strerror or error}).") from None
        if "GLOBAL" in str(error) or _is_pickle(path):  # torch names what the pickle wanted to import
            raise DamagedFileError(
                f"{path} holds objects beyond tensors and plain values; it was not unpickled."
            ) from error
        raise DamagedFileError(f"{path} is cut off or is no {kind}.") from error
    if _is_damaged(path):
        raise DamagedFileError(f"{path} is damaged: a checksum in it does not fit its content; take another copy.")
    return content


def _is_pickle(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == pickle.PROTO


def _is_damaged(path: Path) -> bool:
    """Whether a part of the archive fails its CRC-32."""
    if not zipfile.is_zipfile(path):  # the form of torch before 1.6 has no checksums
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is not None
    except Exception:  # a changed header: BadZipFile, a name that is no text, a compression that does not exist, …
        return True
