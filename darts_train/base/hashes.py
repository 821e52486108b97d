"""Short, stable fingerprints of files and settings (BLAKE2b, 16 hexadecimal characters for names)."""

import hashlib
import json
from pathlib import Path
from typing import Any

DIGEST_BYTES = 16


def hash_bytes(*parts: bytes | memoryview) -> str:
    """BLAKE2b of bytes, one part after the other, as 32 hexadecimal characters."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def hash_json(value: Any) -> str:
    """Hash of a JSON-able value; key order does not matter, paths and tuples count as text and lists."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hash_bytes(text.encode("utf-8"))


def hash_file(path: Path, block: int = 1 << 20) -> str:
    """Hash of a file's content, read in blocks of bytes, so memory stays small."""
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with path.open("rb") as file:
        while chunk := file.read(block):
            digest.update(chunk)
    return digest.hexdigest()
