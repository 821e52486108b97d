"""NPZ chips: `image` [h, w, c], `label` [h, w], and, of ours, `valid`. Nothing is ever unpickled."""

import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from darts_train.scenes.chips.chips import BadChip, Chip

IMAGE, LABEL, VALID = "image", "label", "valid"
_DAMAGE = (OSError, ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error, pickle.UnpicklingError)
_PICKLED = "holds pickled objects, which could run any program; save plain arrays"


def read_npz(path: Path) -> Chip:
    """Read a chip. Raises BadChip where it is damaged, has no image, or holds objects."""
    try:
        if not zipfile.is_zipfile(path):
            raise BadChip("is no NPZ, or cut off")
        with np.load(path, allow_pickle=False) as file:
            return _chip(file)
    except _DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadChip(_PICKLED if "allow_pickle" in reason else f"cannot be read ({reason})") from None


def _chip(file: Any) -> Chip:
    _refuse_objects(file)
    if IMAGE not in file.files:
        raise BadChip(f"has no key {IMAGE}; it has {', '.join(file.files) or 'none'}")
    image = np.atleast_3d(file[IMAGE])
    label = file[LABEL] if LABEL in file.files else None
    if label is not None and label.ndim == 3 and 1 in label.shape:
        label = label.squeeze(-1 if label.shape[-1] == 1 else 0)
    if image.ndim != 3:
        raise BadChip(f"image has the shape {image.shape}, not [h, w, c]")
    if label is not None and label.shape == image.shape[1:] != image.shape[:2]:
        raise BadChip(f"image {image.shape} is [c, h, w]; [h, w, c] is needed")
    bands = np.ascontiguousarray(image.transpose(2, 0, 1))
    return Chip(bands, _valid(file, bands), label, stated=VALID in file.files)


def _valid(file: Any, bands: np.ndarray) -> np.ndarray:
    """Which pixels have data, bool [c, h, w]; `valid` is [h, w] for all bands, or [h, w, c]."""
    finite = np.isfinite(bands) if bands.dtype.kind == "f" else np.ones(bands.shape, bool)
    if VALID not in file.files:
        return finite
    said = np.asarray(file[VALID]) != 0
    said = said.transpose(2, 0, 1) if said.ndim == 3 else said
    if said.shape not in (bands.shape, bands.shape[1:]):
        raise BadChip(f"valid has the shape {file[VALID].shape} beside an image of {bands.shape[1:]}")
    return np.asarray(finite & said)


def _refuse_objects(file: Any) -> None:
    """Look at the headers of keys that are not read: none may hold objects."""
    for key in file.files:
        if key in (IMAGE, LABEL, VALID):
            continue
        with file.zip.open(f"{key}.npy") as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            if read(member)[2].hasobject:
                raise BadChip(_PICKLED)
