"""Reading a train data directory: checked when opened, patches one by one after.

Opening reads the config, the headers of x and y and metadata.parquet, never a pixel. The object can be handed to
worker processes however they start (zarr handles are left out of the pickle and opened again there) and used by
several threads. A patch is one chunk, so all its bands are decompressed even where few are wanted; older sets with
one chunk per band are read band by band.
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
from darts_train.dataset.identity import header_hash, manifest_hash
from darts_train.dataset.metadata import read_metadata
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.store import DAMAGE, PatchArray, check_arrays, chunk_path, open_arrays, read_patch
from darts_train.raster.band import Band


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
        encoded: x holds uint16 codes; False for older sets, whose x is float in [0, 1].
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
            return manifest_hash(self.config, list(self.metadata.columns), list(self.metadata["checksum"]))
        return header_hash(self.root)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read one patch.

        Returns:
            x [c, h, w] with the chosen bands: uint16 codes, or float32 in [0, 1] for older sets (NaN possible);
            y uint8 [h, w].

        Raises:
            IndexError: no such patch; negative numbers are refused too.
            UserError: the patch is missing or damaged on disk.
        """
        index = operator.index(index)
        if not 0 <= index < len(self):
            raise IndexError(f"patch {index} of {len(self)}")
        x = self._load(self.x, "x", index, self.band_indices)
        y = self._load(self.y, "y", index, None)
        return x.astype(np.uint16 if self.encoded else np.float32, copy=False), y.astype(np.uint8, copy=False)

    def read_many(self, indices: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Read patches, in the given order: x [k, c, h, w] and y [k, h, w]; k = 0 gives empty arrays. See `read`."""
        x = np.empty((len(indices), len(self.bands), *self.x.shape[2:]), np.uint16 if self.encoded else np.float32)
        y = np.empty((len(indices), *self.y.shape[1:]), np.uint8)
        for place, index in enumerate(indices):
            x[place], y[place] = self.read(int(index))
        return x, y

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key not in ("x", "y")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.x, self.y = open_arrays(self.root)

    def _load(self, array: PatchArray, name: str, index: int, bands: tuple[int, ...] | None) -> np.ndarray:
        place = self.root / layout.DATA / name
        if self.encoded and not chunk_path(self.root, name, array, index).is_file():
            # zarr would give fill values, which look like a patch without data
            raise UserError(f"{place}: patch {index} is missing; make the set anew.")
        try:
            return read_patch(array, index, bands)
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
