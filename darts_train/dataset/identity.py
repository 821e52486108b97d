"""What a train data directory is, as one hash: two sets with the same hash hold the same patches.

Asked for by every run, so it never reads the pixels: it is taken over the per-patch checksums of metadata.parquet
and the encoding. Sets of older make have no checksums; theirs is taken over their metadata and array headers.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from darts_train.base.hashes import hash_bytes, hash_file, hash_json
from darts_train.dataset.layout import CONFIG, DATA, METADATA
from darts_train.dataset.schema import metadata_schema
from darts_train.dataset.set_config import SetConfig

_HEADERS = ("zarr.json", ".zarray", ".zattrs")


def patch_checksum(x: np.ndarray, y: np.ndarray) -> str:
    """Checksum of one patch: codes uint16 [c, h, w] and classes uint8 [h, w], little-endian, in C order."""
    return hash_bytes(np.ascontiguousarray(x, "<u2").data.cast("B"), np.ascontiguousarray(y, "u1").data.cast("B"))


def manifest_hash(config: SetConfig, checksums: Sequence[str]) -> str:
    """Hash of the encoding, the columns that the set itself writes, and the checksums of the patches in order."""
    columns = metadata_schema(config.columns).names
    return hash_json({"encoding": config.encoding(), "columns": columns, "patches": list(checksums)})


def header_hash(root: Path) -> str:
    """Hash of an older set: metadata.parquet, config.toml and the headers of x and y, not their chunks."""
    files = [root / METADATA, root / CONFIG]
    files += [root / DATA / array / header for array in ("x", "y") for header in _HEADERS]
    return hash_json({str(path.relative_to(root)): hash_file(path) for path in files if path.is_file()})
