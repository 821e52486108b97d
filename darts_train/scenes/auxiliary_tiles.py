"""Many rasters on one lattice, read as one: the tiles of a mosaic in a folder and those below it, or behind addresses.

Only headers are read when it is opened, once; for a window only the tiles that touch it are opened. What is kept of a
tile is its name and four numbers, so that thousands of them are cheap to send to another process. Where tiles overlap,
the first by name that has data there counts; they are joined before anything is resampled, so there are no seams.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.progress import track
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary_file import GdalRaster, read_pixels
from darts_train.scenes.auxiliary_remote import is_remote
from darts_train.scenes.georeference import same_crs

_TIFF_SUFFIXES = (".tif", ".tiff")
_SHIFT = 0.01  # pixels by which a tile may be off the lattice: writers round


@dataclass(frozen=True, eq=False)
class TileMosaic:
    """Rasters of one pixel size on one lattice; see `PixelSource` for what its methods promise.

    `tiles` are paths or addresses; `places` int64 [n, 4] their first column, first row, width and height in `grid`.
    """

    address: str
    grid: Grid
    labels: tuple[str | None, ...]
    tiles: tuple[str, ...]
    places: np.ndarray

    @classmethod
    def open(cls, address: str, tiles: Sequence[str]) -> "TileMosaic":
        """Look at the headers. Raises UserError, naming two tiles and the numbers, where they do not fit together."""
        rasters = [GdalRaster.header(tile) for tile in track(tiles, "headers", len(tiles))]
        first = rasters[0]
        places = np.array([_place(raster, first) for raster in rasters], np.int64)
        x, y = places[:, 0].min(), places[:, 1].min()
        right, bottom = (places[:, 0] + places[:, 2]).max(), (places[:, 1] + places[:, 3]).max()
        whole = first.grid.window(Window(int(x), int(y), int(right - x), int(bottom - y)))
        return cls(address, whole, first.labels, tuple(tiles), places - np.array([x, y, 0, 0]))

    def files(self, window: Window) -> tuple[Path, ...]:
        """The tiles that touch the window."""
        return tuple(Path(self.tiles[i]) for i in self._touching(window) if not is_remote(self.tiles[i]))

    def outlines(self, window: Window) -> list[Window]:
        """The tiles that touch the window."""
        return [self._window(i) for i in self._touching(window)]

    def read(self, bands: Sequence[int], window: Window) -> np.ndarray:
        """See `PixelSource.read`."""
        values = np.full((len(bands), window.height, window.width), np.nan, np.float32)
        for i in self._touching(window):
            tile = self._window(i)
            part = tile.intersection(window)
            there = values[(slice(None), *part.slices(window))]
            missing = np.isnan(there)
            if missing.any():
                inside = Window(part.x - tile.x, part.y - tile.y, part.width, part.height)
                np.copyto(there, read_pixels(self.tiles[i], bands, inside), where=missing)
        return values

    def _window(self, i: int) -> Window:
        return Window(*(int(number) for number in self.places[i]))

    def _touching(self, window: Window) -> list[int]:
        x, y, width, height = self.places.T
        across = (x < window.right) & (x + width > window.x)
        return [int(i) for i in np.flatnonzero(across & (y < window.bottom) & (y + height > window.y))]


def tiff_files(root: Path) -> list[Path]:
    """GeoTIFFs in a directory and below it, by path; hidden ones are passed over."""
    found = []
    for place, directories, names in os.walk(root, followlinks=True):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        found += [Path(place) / n for n in names if not n.startswith(".") and n.lower().endswith(_TIFF_SUFFIXES)]
    return sorted(found)


def _place(raster: GdalRaster, first: GdalRaster) -> tuple[int, int, int, int]:
    """First column and row, relative to `first`, width and height. UserError where it is on another lattice."""
    grid, lattice = raster.grid, first.grid
    if len(raster.labels) != len(first.labels):
        raise _misfit(raster, first, f"{len(raster.labels)} bands against {len(first.labels)}")
    if not same_crs(grid.crs, lattice.crs):
        raise _misfit(raster, first, f"coordinate system {_short(grid.crs)} against {_short(lattice.crs)}")
    assert grid.transform is not None
    assert lattice.transform is not None
    a, b, x, d, e, y = grid.transform
    la, lb, left, ld, le, top = lattice.transform
    drift = max(abs(a - la) * grid.width, abs(e - le) * grid.height) / abs(la)
    if drift > _SHIFT or any((b, d, lb, ld)):
        raise _misfit(raster, first, f"pixel size {a:.9g} x {-e:.9g} against {la:.9g} x {-le:.9g}")
    column, row = (x - left) / la, (y - top) / le
    shift = column - round(column), row - round(row)
    if math.hypot(*shift) > _SHIFT:
        raise _misfit(raster, first, f"shifted by {shift[0]:.3g} and {shift[1]:.3g} of a pixel")
    return round(column), round(row), grid.width, grid.height


def _misfit(raster: GdalRaster, first: GdalRaster, how: str) -> UserError:
    return UserError(f"{raster.address} does not fit {first.address}: {how}; warp them to one lattice first.")


def _short(crs: str | None) -> str:
    text = " ".join(str(crs).split())
    return text if len(text) <= 60 else f"{text[:60]}…"
