"""A raster file: what it says about itself, and its pixels by window.

A file is opened for each read and closed again: a set has thousands of scenes, and a handle does not survive a
fork. Opening costs a millisecond, a window of some million pixels a hundred times that.
"""

import math
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterioWindow

from darts_train.base.errors import UserError
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window

# GDAL keeps blocks that it read in a twentieth of the machine's memory, per process. Files are closed after each read,
# so all that is needed are the blocks of one.
os.environ.setdefault("GDAL_CACHEMAX", "64")  # MB

_TIFF_SUFFIXES = (".tif", ".tiff")


@dataclass(frozen=True)
class RasterFile:
    """A raster that can be opened. All tuples have one item per band; alpha bands are not among them."""

    path: Path
    grid: Grid
    indexes: tuple[int, ...]  # 1-based numbers of the bands in the file
    dtypes: tuple[str, ...]
    descriptions: tuple[str | None, ...]
    colours: tuple[str, ...]  # what the file says a band looks like: red, green, blue, gray, …
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    nodata: tuple[float | None, ...]
    block: tuple[int, int] = (1, 1)  # height and width of what the file decodes at once, pixels

    @classmethod
    def open(cls, path: Path) -> "RasterFile":
        """Look at a file. Raises UserError where it is not there, no raster, not what its name says, or cut short."""
        with open_dataset(path) as dataset:
            if dataset.driver != "GTiff" and path.suffix.lower() in _TIFF_SUFFIXES and dataset.driver != "COG":
                raise UserError(f"{path}: named {path.suffix}, but it is {dataset.driver}; rename or convert it.")
            check_not_cut(path, dataset)
            return cls._describe(path, dataset)

    @classmethod
    def _describe(cls, path: Path, dataset: Any) -> "RasterFile":
        shown = [i for i, colour in enumerate(dataset.colorinterp) if colour != ColorInterp.alpha]
        if not shown or any(dataset.dtypes[i].startswith(("complex", "cint")) for i in shown):
            raise UserError(f"{path}: no band of real numbers.")

        def chosen(values: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(values[i] for i in shown)

        return cls(
            path=path,
            grid=grid_of(dataset),
            indexes=tuple(i + 1 for i in shown),
            dtypes=chosen(dataset.dtypes),
            descriptions=chosen(dataset.descriptions),
            colours=tuple(dataset.colorinterp[i].name for i in shown),
            scales=chosen(dataset.scales),
            offsets=chosen(dataset.offsets),
            nodata=chosen(dataset.nodatavals),
            block=dataset.block_shapes[shown[0]],
        )

    def parts(self, pixels: int) -> Iterator[Window]:
        """Windows of about so many pixels that cover the raster once, each block of the file in as few as can be."""
        height, width = self.block
        across = self.grid.width if width >= self.grid.width else max(width, math.isqrt(pixels) // width * width)
        across = min(across, self.grid.width)
        down = max(1, pixels // across)
        down = max(height, down // height * height) if height <= down else down
        for top in range(0, self.grid.height, down):
            for left in range(0, self.grid.width, across):
                yield Window(left, top, across, down).intersection(self.grid.extent)

    def read(self, bands: Sequence[int], window: Window, nodata: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Pixels of a window, which may reach beyond the raster.

        Args:
            bands: positions (0-based) among the file's bands.
            window: pixels to read.
            nodata: count that means no data, in place of the file's (NaN: none does); None: the file's. Its mask
                or alpha counts always.

        Returns:
            Counts [b, h, w] in the file's type, 0 beyond the raster, and valid bool [b, h, w]: false beyond the
            raster, at no data, at NaN and at infinity. Raises UserError where the file cannot be read.
        """
        inside = window.intersection(self.grid.extent)
        if inside == window and len(bands):
            return self._read_inside(bands, window, nodata)
        dtype = np.result_type(*(self.dtypes[band] for band in bands)) if len(bands) else np.dtype(np.uint8)
        values = np.zeros((len(bands), window.height, window.width), dtype)
        valid = np.zeros(values.shape, bool)
        if inside.width and inside.height and len(bands):
            place = (slice(None), *inside.slices(window))
            values[place], valid[place] = self._read_inside(bands, inside, nodata)
        return values, valid

    def _read_inside(self, bands: Sequence[int], window: Window, nodata: float | None) -> tuple[np.ndarray, np.ndarray]:
        where = RasterioWindow(window.x, window.y, window.width, window.height)
        numbers = [self.indexes[band] for band in bands]
        with open_dataset(self.path) as dataset:
            values = dataset.read(numbers, window=where)
            valid = masks_of(dataset, numbers, where, values, nodata)
        return values, valid


class _WithoutPlace:
    """A context in which a raster without georeference is no reason for a warning.

    `warnings.catch_warnings` restores what it found when it was entered, so two threads that leave in another order
    bring the warning back for each other: the first to enter and the last to leave change the filters here.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_without_place = _WithoutPlace()


@contextmanager
def open_dataset(path: Path) -> Iterator[Any]:
    """An open rasterio dataset. GDAL's errors, on opening and within the block, become UserError naming the file."""
    if not path.exists():
        raise UserError(f"{path}: no such file.")
    try:
        with _without_place, rasterio.open(path) as dataset:
            yield dataset
    except RasterioError as error:
        reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        raise UserError(f"{path}: cannot be read as a raster ({reason}).") from None


def grid_of(dataset: Any) -> Grid:
    """Size and place of an open rasterio dataset. Raises UserError where its pixels have no area."""
    placed = dataset.crs is not None or not dataset.transform.is_identity
    area = abs(dataset.transform.determinant)
    if placed and not 0 < area < np.inf:
        raise UserError(f"{dataset.name}: its pixels have no area (geotransform {dataset.transform.to_gdal()}).")
    transform = tuple(float(number) for number in dataset.transform[:6]) if placed else None
    return Grid(dataset.width, dataset.height, transform, dataset.crs.to_string() if dataset.crs else None)


def check_not_cut(path: Path, dataset: Any) -> None:
    """A TIFF whose directory comes first opens although its end is missing: look where its last row of blocks lies."""
    if dataset.driver not in ("GTiff", "COG"):
        return
    size = path.stat().st_size
    for band in dataset.indexes:
        height, width = dataset.block_shapes[band - 1]
        row = (dataset.height - 1) // height
        for column in range(-(-dataset.width // width)):
            start = dataset.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=band)
            length = dataset.get_tag_item(f"BLOCK_SIZE_{column}_{row}", "TIFF", bidx=band)
            if start and length and int(start) + int(length) > size:
                raise UserError(f"{path}: the file is cut short ({size} bytes, {int(start) + int(length)} expected).")


def masks_of(dataset: Any, numbers: list[int], where: Any, values: np.ndarray, nodata: float | None) -> np.ndarray:
    """Where values [b, h, w] that were read have data: as the file says, or by `nodata` in place of the file's value.

    A file's mask or alpha counts in both cases. Integers are compared here, which spares a second reading.
    """
    valid = np.ones(values.shape, bool)
    exact = nodata is not None or np.issubdtype(values.dtype, np.integer)
    whole = None  # the mask of all bands, where there is one
    for i, number in enumerate(numbers):
        kinds = dataset.mask_flag_enums[number - 1]
        value = nodata if nodata is not None or MaskFlags.nodata not in kinds else dataset.nodatavals[number - 1]
        if value is not None and exact and _representable(value, values.dtype):
            np.not_equal(values[i], values.dtype.type(value), out=valid[i])
        elif value is not None and not exact:
            valid[i] = dataset.read_masks(number, window=where) != 0
        if MaskFlags.per_dataset in kinds:
            whole = dataset.read_masks(number, window=where) != 0 if whole is None else whole
            valid[i] &= whole
    return valid & np.isfinite(values) if np.issubdtype(values.dtype, np.floating) else valid


def _representable(nodata: float, dtype: np.dtype[Any]) -> bool:
    """Whether a pixel of this type can have the value at all (−9999 in uint8 cannot; NaN is looked for apart)."""
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        return float(nodata).is_integer() and limits.min <= nodata <= limits.max
    return not np.isnan(nodata)
