"""Reading a train data directory: checked when opened, patches one by one after.

Opening reads the config, the headers of x and y and metadata.parquet, never a pixel. The object can be handed to
worker processes however they start (zarr handles are left out of the pickle and opened again there) and used by
several threads. A patch is one chunk, so all its bands are decompressed even where few are wanted; older sets with
one chunk per band are read band by band. Chunks are decoded by `chunks.py`, and by zarr where that cannot.
"""

import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from darts_train.base.errors import UserError, listing, nearest
from darts_train.base.files import require_directory
from darts_train.dataset import layout
from darts_train.dataset.chunks import ChunkReader
from darts_train.dataset.identity import header_hash, manifest_hash
from darts_train.dataset.metadata import read_metadata
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.store import DAMAGE, PatchArray, check_arrays, chunk_path, open_arrays, open_valid, read_patch
from darts_train.raster.band import Band
from darts_train.raster.encoding import from_bytes

_HANDLES = ("x", "y", "valid", "_readers")  # not in a pickle; opened again


class TrainData:
    """An opened train data directory, or some bands of it. Use `open`.

    Attributes:
        root: the directory.
        config: what the set is, all bands.
        bands: chosen bands, in the chosen order.
        band_indices: their indices along axis 1 of `x`.
        metadata: row i is patch i; columns as in metadata.parquet.
        x: zarr array [n, c, h, w] with all bands.
        y: zarr array [n, h, w].
        encoded: x holds codes; False for older sets, whose x is float in [0, 1].
    """

    def __init__(
        self,
        root: Path,
        config: SetConfig,
        metadata: pd.DataFrame,
        arrays: tuple[PatchArray, PatchArray],
        band_indices: tuple[int, ...],
    ) -> None:
        self.root = root
        self.config = config
        self.metadata = metadata
        self.x, self.y = arrays
        self.band_indices = band_indices
        self.bands: tuple[Band, ...] = tuple(config.bands[i] for i in band_indices)
        self.encoded = not config.older
        self._labels = np.isin(np.arange(256), [*range(len(config.classes)), config.ignore_index])
        self._open_readers()

    @classmethod
    def open(cls, root: Path, bands: Sequence[str] | None = None) -> "TrainData":
        """Open a set and check that its parts fit each other.

        Args:
            root: train data directory.
            bands: names of bands, in the order wanted; None for all, in stored order.

        Raises:
            UserError: the directory or a file is missing, damaged or of another kind; parts do not fit; a band is
                unknown (with the nearest names), given twice, or none is given; the set has no patches.
        """
        root = Path(root)
        require_directory(root, "--train-data-dir")
        _require_parts(root)
        config = SetConfig.read(root / layout.CONFIG)
        chosen = _choose(config, bands)
        x, y = open_arrays(root)
        check_arrays(root, config, x, y)
        metadata = read_metadata(root / layout.METADATA, x.shape[0])
        if not len(metadata):
            raise UserError(f"{root} has no patches; look at {layout.SCENES} for why scenes gave none.")
        return cls(root, config, metadata, (x, y), chosen)

    def __len__(self) -> int:
        return len(self.metadata)

    @property
    def data_hash(self) -> str:
        """Hash of the patches and their encoding, from the manifest: no pixel is read."""
        if self.encoded and "checksum" in self.metadata:
            return manifest_hash(self.config, list(self.metadata["checksum"]))
        return header_hash(self.root)

    def read(self, index: int, checked: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Read one patch; where not `checked`, labels and values may be what a network cannot learn from.

        Returns:
            x [c, h, w] with the chosen bands: uint16 codes (also where they are stored as uint8), or float32 in [0, 1]
            for older sets (NaN possible); y uint8 [h, w].

        Raises:
            IndexError: no such patch; negative numbers are refused too.
            UserError: the patch is missing or damaged on disk, a label is of no class, or a value infinite.
        """
        x, y = self.read_many([index], checked)
        return x[0], y[0]

    def read_many(self, indices: Sequence[int] | np.ndarray, checked: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Read patches, in the given order: x [k, c, h, w] and y [k, h, w]; k = 0 gives empty arrays. See `read`."""
        x = np.empty((len(indices), len(self.bands), *self.x.shape[2:]), np.uint16 if self.encoded else np.float32)
        y = np.empty((len(indices), *self.y.shape[1:]), np.uint8)
        for place, index in enumerate(indices):
            self._read_into(operator.index(index), x[place], y[place])
            if checked:
                self._check(index, x[place], y[place])
        return x, y

    def _read_into(self, index: int, x: np.ndarray, y: np.ndarray) -> None:
        if not 0 <= index < len(self):
            raise IndexError(f"patch {index} of {len(self)}")
        all_bands = self.band_indices == tuple(range(self.x.shape[1]))
        self._load(self.x, "x", index, None if all_bands else self.band_indices, x)
        self._load(self.y, "y", index, None, y)
        if self.valid is not None:
            by_band = self.valid.ndim == 4
            valid = np.empty(x.shape if by_band else y.shape, self.valid.dtype)
            self._load(self.valid, "valid", index, None if all_bands or not by_band else self.band_indices, valid)
            from_bytes(x, valid)

    def _check(self, index: int, x: np.ndarray, y: np.ndarray) -> None:
        """Refuse labels of no class, which a loss would take for one, and infinities, which it cannot take."""
        if not self._labels[y].all():
            wrong, allowed = np.unique(y[~self._labels[y]]), np.flatnonzero(self._labels)
            raise UserError(
                f"{self.root / layout.DATA}: patch {index}: y holds {listing(wrong)}; allowed are "
                f"{listing(allowed, 10)}. Mend y, or the classes in {layout.CONFIG}."
            )
        if not self.encoded and np.isinf(x).any():
            raise UserError(
                f"{self.root / layout.DATA}: patch {index}: x holds infinite values; no data is NaN in such a set."
            )

    def _open_readers(self) -> None:
        self.valid = open_valid(self.root, self.x)
        arrays = {"x": self.x, "y": self.y, "valid": self.valid}
        self._readers = {
            name: ChunkReader.of(self.root / layout.DATA / name, array)
            for name, array in arrays.items()
            if array is not None
        }

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in _HANDLES}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.x, self.y = open_arrays(self.root)
        self._open_readers()

    def _load(self, array: PatchArray, name: str, index: int, bands: tuple[int, ...] | None, out: np.ndarray) -> None:
        place = self.root / layout.DATA / name
        reader = self._readers[name]
        try:
            if reader is not None and reader.read_into(index, bands, out):
                return
            if self.encoded and not chunk_path(self.root, name, array, index).is_file():
                # zarr would give fill values, which look like a patch without data
                raise UserError(f"{place}: patch {index} is missing; make the set anew.")
            out[...] = read_patch(array, index, bands)
        except DAMAGE as error:
            raise UserError(f"{place}: patch {index} is damaged ({error}); make the set anew.") from None


def _require_parts(root: Path) -> None:
    absent = [name for name in (layout.CONFIG, layout.DATA, layout.METADATA) if not (root / name).exists()]
    if absent and (root / layout.JOURNAL).is_dir():
        raise UserError(
            f"{root}: {listing(absent)} missing: preprocessing was not finished; call it again with the same settings."
        )
    if absent:
        raise UserError(f"{root} is not a train data directory: {listing(absent)} missing.")


def _choose(config: SetConfig, bands: Sequence[str] | None) -> tuple[int, ...]:
    if bands is None:
        return tuple(range(len(config.bands)))
    known = list(config.band_names)
    unknown = [name for name in bands if name not in known]
    if unknown:
        close = nearest(unknown[0], known)
        raise UserError(f"--bands: {listing(unknown)} not in the set, which has {listing(known, 20)}{close}.")
    if not bands:
        raise UserError(f"--bands: none given; choose from {listing(known, 20)}.")
    if len(set(bands)) < len(bands):
        raise UserError(f"--bands: a band is given twice: {listing(bands, 20)}.")
    return tuple(known.index(name) for name in bands)
