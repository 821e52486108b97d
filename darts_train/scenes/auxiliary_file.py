"""One raster that GDAL reads: a GeoTIFF, a VRT, a COG behind an address."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.windows import Window as RasterioWindow

from darts_train.base.errors import UserError
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary_remote import is_remote, open_address
from darts_train.scenes.raster_file import RasterFile, check_not_cut


@dataclass(frozen=True)
class GdalRaster:
    """A raster that can be opened; see `PixelSource` for what its methods promise."""

    address: str
    grid: Grid
    labels: tuple[str | None, ...]
    parts: tuple[Path, ...] = ()  # itself and, of a VRT, what it is made of; none behind an address

    @classmethod
    def open(cls, address: str) -> "GdalRaster":
        """Look at a file or address. Raises UserError where it cannot be read, is cut short or has no place."""
        if not is_remote(address):
            RasterFile.open(Path(address))  # says what is wrong with a file: another format, no real numbers
        return cls.header(address)

    @classmethod
    def header(cls, address: str) -> "GdalRaster":
        """As `open`, in half the time: one look, for one of thousands of tiles."""
        with open_address(address) as dataset:
            if not is_remote(address):
                check_not_cut(Path(address), dataset)
            if dataset.crs is None or dataset.transform.is_identity:
                raise UserError(f"{address} has no georeference.")
            transform = tuple(float(number) for number in dataset.transform[:6])
            return cls(
                address,
                Grid(dataset.width, dataset.height, transform, dataset.crs.to_string()),
                tuple(dataset.descriptions[number - 1] for number in _numbers(dataset)),
                tuple(Path(name) for name in dataset.files if not is_remote(name)),
            )

    def files(self, window: Window) -> tuple[Path, ...]:
        """All its files, whatever the window."""
        return self.parts

    def outlines(self, window: Window) -> list[Window]:
        """All of it."""
        return [self.grid.extent]

    def read(self, bands: Sequence[int], window: Window) -> np.ndarray:
        """See `PixelSource.read`: no data is what the file says by value, mask or alpha; scale and offset count."""
        return read_pixels(self.address, bands, window)


def read_pixels(address: str, bands: Sequence[int], window: Window) -> np.ndarray:
    """Pixels of a window within a raster, float32 [b, h, w]; NaN where there is no data. Raises UserError."""
    where = RasterioWindow(window.x, window.y, window.width, window.height)
    with open_address(address) as dataset:
        numbers = [_numbers(dataset)[band] for band in bands]
        counts = dataset.read(numbers, window=where)
        masks = dataset.read_masks(numbers, window=where)
        scales, offsets = ([values[number - 1] for number in numbers] for values in (dataset.scales, dataset.offsets))
    return physical(counts, masks != 0, scales, offsets)


def physical(counts: np.ndarray, valid: np.ndarray, scales: Sequence[float], offsets: Sequence[float]) -> np.ndarray:
    """Counts [b, h, w] as float32 values, offset + scale · count, by band; NaN where `valid` [b, h, w] is false."""
    values = counts
    if any(scale != 1 for scale in scales) or any(offsets):
        values = counts * np.asarray(scales, float)[:, None, None] + np.asarray(offsets, float)[:, None, None]
    values = values.astype(np.float32)
    values[~valid] = np.nan
    return values


def _numbers(dataset: Any) -> list[int]:
    """Numbers of the bands but alpha; they count from 1."""
    return [i for i, colour in enumerate(dataset.colorinterp, start=1) if colour != ColorInterp.alpha]
