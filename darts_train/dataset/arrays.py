"""data.zarr for the writer: making it, adding patches durably, rolling back what was not committed.

Codecs. Measured on the bundled scenes (6 x 512 x 512 codes, one thread): lz4 with bit shuffle stores 1.31 to 1.39 times
less than raw, decodes 1000 MB/s and encodes 600; zstd 1 stores 1.36 to 1.51 times less, decodes 370 to 600 MB/s and
encodes 150; higher levels and byte shuffle are slower to write or to read. A patch is read a hundred times and more, so
x is lz4; y, of which zstd makes half of what lz4 does, is small and zstd. Then crc32c: without it a lost byte reads
silently wrong.

Keys. Chunk names are flat (`c.17.0.0.0`, separator "."), which zarr knows as well as nested ones: one file per
patch and array rather than one file and four directories, and one directory to make durable.

Empty chunks are written, so that a chunk that is not there is a loss and not a patch of fill values.
"""

import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from darts_train.base.errors import UserError
from darts_train.base.files import fsync_directory, remove_tree
from darts_train.dataset.layout import DATA
from darts_train.dataset.set_config import SetConfig
from darts_train.raster.band import NODATA
from darts_train.raster.encoding import to_bytes


class PatchArrays:
    """x and y of one set, and `valid` beside 8-bit x, open for writing.

    All have the same number of patches. Codes come as uint16 and are taken apart here where they are stored in bytes.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        group = zarr.open_group(str(directory), mode="r+", zarr_format=3)
        self._arrays = {name: _array(group, name) for name in _CODECS if name in group or name != "valid"}
        valid = self._arrays.get("valid")
        if (valid is not None) != (self._arrays["x"].dtype == np.uint8):
            raise ValueError("valid belongs to x of uint8")
        self._by_band = valid is not None and valid.ndim == 4

    @classmethod
    def create(cls, root: Path, config: SetConfig) -> "PatchArrays":
        """Make empty arrays, replacing whatever data.zarr was there."""
        directory = root / DATA
        remove_tree(directory)
        side, bands = config.patch_size, len(config.bands)
        group = zarr.create_group(str(directory), zarr_format=3)
        described: dict[str, object] = {"bands": [asdict(band) for band in config.bands]}
        if config.stored_as == "uint16":
            _create(group, "x", (bands, side, side), "uint16", NODATA, {**described, "nodata": NODATA})
        else:
            by_band = config.stored_as == "uint8 by band"
            _create(group, "x", (bands, side, side), "uint8", 0, {**described, "nodata": "where valid is 0"})
            _create(group, "valid", (bands, side, side) if by_band else (side, side), "uint8", 0, {})
        _create(
            group, "y", (side, side), "uint8", config.ignore_index,
            {"classes": list(config.classes), "ignore_index": config.ignore_index},
        )  # fmt: skip
        return cls(directory)

    @classmethod
    def open(cls, root: Path, config: SetConfig, length: int) -> "PatchArrays":
        """Open the arrays and bring them to `length` patches, the number that the journal has committed.

        With nothing committed they are made anew: they may be half-made. Raises UserError where committed patches
        are not there.
        """
        if length == 0:
            return cls.create(root, config)
        try:
            arrays = cls(root / DATA)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{root / DATA} is damaged ({error}); use --overwrite.") from None
        arrays.roll_back(length)
        return arrays

    def roll_back(self, length: int) -> None:
        """Forget every patch from index `length` on, and every half-written file.

        Files go first and by name: a chunk that was written beyond the committed length is found even where the
        array's shape does not say so. Raises UserError where one of the first `length` chunks is missing.
        """
        for name, array in self._arrays.items():
            present = _sweep(self.directory / name, length)
            if present < length or array.shape[0] < length:
                there = min(present, array.shape[0])
                raise UserError(f"{self.directory / name} holds {there} of {length} patches; use --overwrite.")
            if array.shape[0] != length:
                array.resize((length, *array.shape[1:]))
        _remove(path for path in self.directory.iterdir() if path.suffix == ".partial")

    def append(self, start: int, x: np.ndarray, y: np.ndarray) -> None:
        """Write patches at `start`, which is also where the arrays end so far, and make them durable.

        x are codes uint16 [n, c, h, w], y classes uint8 [n, h, w]. Raises ValueError where codes do not fit into bytes
        and the set holds bytes.
        """
        if not len(x):
            return
        end = start + len(x)
        for array in self._arrays.values():
            array.resize((end, *array.shape[1:]))
        for i in range(len(x)):  # zarr writes a slice's chunks at once; where one fails, others go on unseen
            for name, values in self._parts(x[i], y[i]).items():
                self._arrays[name][start + i] = values
        self._make_durable(start, end)

    def _parts(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """What is stored of one patch, by array."""
        if "valid" not in self._arrays:
            return {"x": x, "y": y}
        codes, valid = to_bytes(x, self._by_band)
        return {"x": codes, "y": y, "valid": valid}

    def adopt(self, start: int, staged: Path, count: int) -> None:
        """Move the `count` patches that were made durable in the arrays below `staged` to `start` and on.

        `start` is where the arrays end so far. A rename takes no time and no space; the files are as they were written.
        """
        if not count:
            return
        for name, array in self._arrays.items():
            array.resize((start + count, *array.shape[1:]))
            for i in range(count):
                os.replace(
                    self._chunk(staged / DATA, array, name, i), self._chunk(self.directory, array, name, start + i)
                )
        self._make_durable(start + count, start + count)

    @staticmethod
    def _chunk(directory: Path, array: Any, name: str, index: int) -> Path:
        return directory / name / str(array.metadata.encode_chunk_key((index, *[0] * (array.ndim - 1))))

    def _make_durable(self, start: int, end: int) -> None:
        _fsync(self.directory / "zarr.json")
        for name, array in self._arrays.items():
            place = self.directory / name
            _fsync(place / "zarr.json")
            for index in range(start, end):
                _fsync(self._chunk(self.directory, array, name, index))
            fsync_directory(place)
        fsync_directory(self.directory)
        fsync_directory(self.directory.parent)


_CODECS = {
    "x": BloscCodec(cname="lz4", clevel=5, shuffle="bitshuffle"),
    "y": BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"),
    "valid": BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"),
}


def _create(
    group: zarr.Group, name: str, inner: tuple[int, ...], dtype: str, fill: int, attributes: dict[str, object]
) -> None:
    group.create_array(
        name,
        shape=(0, *inner),
        chunks=(1, *inner),
        dtype=dtype,
        fill_value=fill,
        compressors=[_CODECS[name], Crc32cCodec()],
        chunk_key_encoding={"name": "default", "separator": "."},
        attributes=attributes,  # type: ignore[arg-type]
    )


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise ValueError(f"{name} is not an array")
    return array.with_config({"write_empty_chunks": True})


def _sweep(place: Path, length: int) -> int:
    """Remove chunks from `length` on and half-written files; how many chunks below `length` there are."""
    present = 0
    for path in list(place.iterdir()):
        if path.suffix == ".partial" or (path.name.startswith("c.") and int(path.name.split(".")[1]) >= length):
            path.unlink()
        elif path.name.startswith("c."):
            present += 1
    return present


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        path.unlink()


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
