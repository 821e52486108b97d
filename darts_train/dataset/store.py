"""data.zarr for readers: opening it, checking that its parts fit, finding the file of a patch."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from darts_train.base.errors import UserError
from darts_train.dataset.layout import CONFIG, DATA
from darts_train.dataset.set_config import SetConfig

PatchArray = zarr.Array[Any]
# what a damaged chunk raises: the checksum, Blosc and zstd, the file system, gzip
DAMAGE = (ValueError, RuntimeError, OSError, EOFError, zlib.error)


def open_arrays(root: Path) -> tuple[PatchArray, PatchArray]:
    """Open x and y read-only. Raises UserError where data.zarr is no zarr group with these two arrays."""
    return _open_both(root / DATA)


def open_valid(root: Path, x: PatchArray) -> PatchArray | None:
    """The array `valid` beside 8-bit codes, which leave no code for no data; None where x is not uint8.

    It is [n, h, w], or [n, c, h, w] where bands differ in where they have data.

    Raises UserError where it is missing, or of another shape: without it no data would be read as the code 0.
    """
    if x.dtype != np.uint8:
        return None
    try:
        valid = zarr.open_group(str(root / DATA), mode="r")["valid"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{root / DATA}: x is uint8, so an array valid [n, h, w] must be beside it.") from None
    shapes = (x.shape[:1] + x.shape[2:], x.shape)
    if not isinstance(valid, zarr.Array) or valid.shape not in shapes or valid.dtype.kind not in "ub":
        raise UserError(f"{root / DATA}: valid must be an array of bool or uint8 {x.shape[:1] + x.shape[2:]}.")
    return valid


def _open_both(path: Path) -> tuple[PatchArray, PatchArray]:
    try:
        group = zarr.open_group(str(path), mode="r")
        x, y = group["x"], group["y"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: not a zarr group with arrays x and y ({reason}).") from None
    if not isinstance(x, zarr.Array) or not isinstance(y, zarr.Array):
        raise UserError(f"{path}: x and y must be arrays.")
    return x, y


def check_arrays(root: Path, config: SetConfig, x: PatchArray, y: PatchArray) -> None:
    """Check dtypes and shapes of x and y against the config and each other. Raises UserError naming both sides."""
    path = root / DATA
    if x.ndim != 4 or y.ndim != 3 or x.shape[:1] + x.shape[2:] != y.shape:
        raise UserError(f"{path}: x {x.shape} and y {y.shape} do not fit; expected [n, c, h, w] and [n, h, w].")
    if x.shape[1] != len(config.bands):
        raise UserError(f"{path}: x has {x.shape[1]} bands, {CONFIG} names {len(config.bands)}.")
    if x.shape[2:] != (config.patch_size, config.patch_size):
        raise UserError(f"{path}: patches are {x.shape[3]} x {x.shape[2]}, {CONFIG} says {config.patch_size}.")
    if config.older and x.dtype.kind != "f":
        raise UserError(f"{path}: x is {x.dtype}, but {CONFIG} has no encoding (band_scales, band_offsets, …).")
    if not config.older and x.dtype not in (np.uint16, np.uint8):
        raise UserError(f"{path}: x is {x.dtype}; an encoded set is uint16 or uint8.")
    if config.stored_as != "uint16" and x.dtype != np.uint8:
        raise UserError(f"{path}: x is {x.dtype}, {CONFIG} says stored_as {config.stored_as}.")
    if y.dtype.kind not in "uib" or (not config.older and y.dtype != np.uint8):
        raise UserError(f"{path}: y is {y.dtype}; class indices are uint8.")


def chunk_path(root: Path, name: str, array: PatchArray, index: int) -> Path:
    """The file that holds patch `index` of a set of ours (one file per patch, or per shard of patches)."""
    along = (array.shards or array.chunks)[0]
    return root / DATA / name / array.metadata.encode_chunk_key((index // along, *[0] * (array.ndim - 1)))


def read_patch(array: PatchArray, index: int, bands: tuple[int, ...] | None = None) -> np.ndarray:
    """One patch as stored, C-contiguous: [h, w] of y, or the given bands [b, h, w] of x (None: all).

    Where chunks hold single bands, only the wanted ones are read. Raises one of `DAMAGE` where a chunk is damaged.
    """
    if bands is None or bands == tuple(range(array.shape[1])):
        return np.asarray(array[index])
    if array.chunks[1] == array.shape[1]:
        return np.asarray(array[index])[list(bands)]
    return np.stack([np.asarray(array[index, band]) for band in bands])
