"""Whether a JPG or PNG goes on to its end. GDAL opens one that is not, and may read zeros from there on."""

import struct
from pathlib import Path
from typing import BinaryIO

from darts_train.base.errors import UserError

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_SCAN = 0xDA  # after this marker no byte 0xff 0xd9 is anything but the end
_TAIL = 4096  # bytes in which the end of a JPG is, but where a camera wrote more behind it


def require_whole(path: Path) -> None:
    """Raise UserError where a JPG or PNG is cut off. Other formats are not looked at. Only headers are read."""
    with path.open("rb") as file:
        start = file.read(8)
        whole = True
        if start == _PNG:
            whole = _png_ends(file)
        elif start.startswith(_JPEG):
            whole = _jpeg_ends(file)
    if not whole:
        raise UserError(f"{path}: the file is cut short; take another copy, or leave it out.")


def _png_ends(file: BinaryIO) -> bool:
    """Whether the last chunk is there: each says how long it is (PNG specification, section 5.3)."""
    size = file.seek(0, 2)
    place = len(_PNG)
    while place + 12 <= size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        place += 12 + length
        if kind == b"IEND":
            return bool(place <= size)
    return False


def _jpeg_ends(file: BinaryIO) -> bool:
    """Whether the marker of the end comes after the first scan; thumbnails before it have ends of their own."""
    size = file.seek(0, 2)
    scan = _first_scan(file, size)
    if scan is None:
        return False
    for start in (max(scan, size - _TAIL), scan):
        file.seek(start)
        if _JPEG_END in file.read():
            return True
    return False


def _first_scan(file: BinaryIO, size: int) -> int | None:
    """Where the first scan begins: behind segments that say how long they are (ITU T.81, annex B)."""
    place = 2
    while place + 4 <= size:
        file.seek(place)
        mark, kind, length = struct.unpack(">BBH", file.read(4))
        if mark != 0xFF:
            return None
        if kind == 0xFF:  # a fill byte
            place += 1
            continue
        place += 2 + length
        if kind == _SCAN:
            return place if place <= size else None
    return None
