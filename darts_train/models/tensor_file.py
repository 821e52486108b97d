"""Files that torch writes: read without trusting them, and found out where a byte of them changed.

`weights_only=True` builds tensors and plain values and nothing else, besides the few of `harmless.py`: a file that
wants to run code is refused before a byte of it is unpickled, by the name of what it wants (`pickle_names.py`).

torch writes a CRC-32 of every part into the archive, and does not look at it when it reads: a flipped bit of a weight
would go unseen, so it is checked here (1 GB/s).
"""

import errno
import threading
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from darts_train.base.errors import UserError, listing
from darts_train.base.files import atomic_path
from darts_train.models.harmless import harmless, torch_names
from darts_train.models.pickle_names import wanted_names

_ONE_AT_A_TIME = threading.Lock()  # torch's list of what may be read is one of the whole process


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

    Dates, paths and NumPy's numbers are read as well (`harmless.py`). Raises UserError where the file cannot be read,
    DamagedFileError where it is cut off or changed, or holds anything else, whose class the message names.
    """
    try:
        _refuse_packed(path, kind)
        _refuse_foreign(path)
        content = _load(path)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such {kind}.") from None
    except PermissionError:
        raise UserError(f"{path} cannot be read; check its permissions.") from None
    except UserError:
        raise
    except Exception as error:  # bytes from outside: whatever the unpickler makes of them
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which is torch's for an archive cut off
            raise UserError(f"{path} cannot be read ({error.strerror or error}).") from None
        raise DamagedFileError(f"{path} is cut off or is no {kind}.") from error
    if _is_damaged(path):
        raise DamagedFileError(f"{path} is damaged: a checksum in it does not fit its content; take another copy.")
    return content


def _load(path: Path) -> Any:
    extras: list[Any] = [(function, name) for name, function in harmless().items()]
    with _ONE_AT_A_TIME, warnings.catch_warnings(), torch.serialization.safe_globals(extras):
        warnings.simplefilter("ignore")
        return torch.load(path, map_location="cpu", weights_only=True)


def _refuse_packed(path: Path, kind: str) -> None:
    """Torch never compresses: a part that is, or is said to be larger than the file, is there to fill the memory."""
    if not zipfile.is_zipfile(path):
        path.open("rb").close()  # for the error of a file that is not there
        return
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except Exception:  # a changed header, as in `_is_damaged`
        return
    if any("/code/" in part.filename and part.filename.endswith(".py") for part in parts):
        raise DamagedFileError(f"{path} is a TorchScript program, and no {kind}; give the model file it was made of.")
    packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
    if packed or sum(part.file_size for part in parts) > path.stat().st_size:
        raise DamagedFileError(f"{path} has compressed parts, which no {kind} has; it was not unpacked.")


def _refuse_foreign(path: Path) -> None:
    known = torch_names() | harmless().keys()
    foreign = [name for name in wanted_names(path) if name not in known]
    if foreign:
        raise DamagedFileError(
            f"{path} holds {listing(foreign, 3)}, neither a tensor nor a plain value; it was not unpickled."
        )


def _is_damaged(path: Path) -> bool:
    """Whether a part of the archive fails its CRC-32."""
    if not zipfile.is_zipfile(path):  # the form of torch before 1.6 has no checksums
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is not None
    except Exception:  # a changed header: BadZipFile, a name that is no text, a compression that does not exist, …
        return True
