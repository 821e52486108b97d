"""A folder of GeoTIFF tiles that is filled tile by tile, each whole or not there.

    target/tiles.json                  what the tiles are, and which of them hold no data (they have no file)
    target/arcticdem_2m_-512_103.tif   the tile in column -512 and row 103 of the lattice

Tiles are numbered from the origin of the coordinate system, so that a larger area later adds to the same tiles.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio.errors import RasterioError
from rasterio.windows import Window

from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path, sweep_leftovers, write_json
from darts_train.base.locks import exclusive_lock
from darts_train.base.progress import track
from darts_train.raster.grid import Grid
from darts_train.scenes.auxiliary_remote import open_address
from darts_train.scenes.auxiliary_tiles import tiff_files
from darts_train.scenes.raster_file import check_not_cut

Index = tuple[int, int]  # column and row of a tile
Strips = Iterator[np.ndarray]  # rows of a tile from its first on, [b, rows, w]
_FACTS = "tiles.json"
_ROUND = 1e-3  # pixels below which an origin lies on the lattice through 0


class _NoDataError(Exception):
    """A tile without a pixel of data."""


@dataclass(frozen=True)
class Lattice:
    """Tiles of a size in pixels, on pixels whose corners lie at `phase` plus a multiple of `pixel` (x and y)."""

    crs: str
    pixel: tuple[float, float]
    phase: tuple[float, float]
    tile_size: int

    @classmethod
    def of(cls, grid: Grid, tile_size: int, what: str) -> "Lattice":
        """The lattice that the pixels of a grid lie on. UserError where the grid is turned or upside down."""
        if grid.transform is None or grid.crs is None:
            raise UserError(f"{what} has no georeference.")
        a, b, x, d, e, y = grid.transform
        if b or d or a <= 0 or e >= 0:
            raise UserError(f"{what} is turned or upside down; warp it first.")
        return cls(grid.crs, (a, -e), (_phase(x, a), _phase(y, -e)), tile_size)

    def grid(self, index: Index) -> Grid:
        """Size and place of a tile."""
        (across, down), (x, y) = self.pixel, self.phase
        left, top = x + index[0] * self.tile_size * across, y - index[1] * self.tile_size * down
        return Grid(self.tile_size, self.tile_size, (across, 0.0, left, 0.0, -down, top), self.crs)

    def tiles(self, polygons: np.ndarray) -> list[Index]:
        """Tiles that touch any of the polygons [n] (in this coordinate system), row by row."""
        across, down = (self.tile_size * pixel for pixel in self.pixel)
        found: set[Index] = set()
        for polygon in polygons:
            west, south, east, north = polygon.bounds
            columns = np.arange(*_steps((west - self.phase[0]) / across, (east - self.phase[0]) / across))
            rows = np.arange(*_steps((self.phase[1] - north) / down, (self.phase[1] - south) / down))
            i, j = (part.ravel() for part in np.meshgrid(columns, rows))
            left, top = self.phase[0] + i * across, self.phase[1] - j * down
            shapely.prepare(polygon)
            touching = shapely.intersects(polygon, shapely.box(left, top - down, left + across, top))
            found |= set(zip(i[touching].tolist(), j[touching].tolist(), strict=True))
        return sorted(found, key=lambda index: index[::-1])


@dataclass(frozen=True)
class Content:
    """What the tiles of a folder are: beginning of their names, bands, type and no data value, and where it is from."""

    prefix: str
    bands: tuple[str, ...]
    dtype: str
    nodata: float | None
    source: str


@dataclass(frozen=True)
class DownloadSummary:
    """What a download did, or would do.

    Attributes:
        target_dir: the folder.
        tiles: tiles of the area.
        present: of these, finished before.
        written: of these, written now; of a dry run, those that would be fetched.
        empty: of these, found now to hold no data.
        bytes: size of those written; of a dry run, at most.
        option: the option that reads the folder.
        dry_run: nothing was written.
    """

    target_dir: Path
    tiles: int
    present: int
    written: int
    empty: int
    bytes: int
    option: str
    dry_run: bool = False

    def summary(self) -> str:
        """A few plain lines for the terminal."""
        size = f"{self.bytes / 1e6:.1f} MB"
        if self.dry_run:
            return f"{self.target_dir}: {self.written} of {self.tiles} tiles would be fetched, at most {size}"
        done = f"{self.written} written ({size}), {self.present} were there, {self.empty} without data"
        return f"{self.target_dir}: {self.tiles} tiles: {done}\nread them with {self.option} {self.target_dir}"


class TileFolder:
    """The folder of one content on one lattice."""

    def __init__(self, directory: Path, lattice: Lattice, content: Content) -> None:
        """Look at what is there. UserError where that is something else, or cannot be read."""
        self.directory, self.lattice, self.content = directory, lattice, content
        self._facts = json.loads(json.dumps(asdict(lattice) | asdict(content)))
        self._empty = {(i, j) for i, j in self._known().get("empty", [])}

    def path(self, index: Index) -> Path:
        """Where a tile lies."""
        return self.directory / f"{self.content.prefix}_{index[0]}_{index[1]}.tif"

    def missing(self, tiles: Sequence[Index]) -> list[Index]:
        """Those of some tiles that are neither there nor known to be empty."""
        return [index for index in tiles if index not in self._empty and not self.path(index).exists()]

    def dry_run(self, tiles: Sequence[Index], option: str) -> DownloadSummary:
        """What `fill` would do."""
        missing, side = len(self.missing(tiles)), self.lattice.tile_size
        size = missing * side**2 * len(self.content.bands) * np.dtype(self.content.dtype).itemsize
        return DownloadSummary(self.directory, len(tiles), len(tiles) - missing, missing, 0, size, option, dry_run=True)

    def fill(self, tiles: Sequence[Index], read: Callable[[Grid], Strips], option: str) -> DownloadSummary:
        """Write the missing ones of some tiles, one after the other; whatever stops it, those written stay.

        Args:
            tiles: the tiles of the area.
            read: gives the rows of a tile from the first to the last, float with NaN or integers with 0 for no data.
            option: the option that reads the folder.
        """
        with exclusive_lock(self.directory / ".lock", f"--target-dir: {self.directory}"):
            sweep_leftovers(self.directory)
            write_json(self.directory / _FACTS, self._state())
            missing, size, empty = self.missing(tiles), 0, 0
            for index in track(missing, "download", len(missing)):
                if self._write(index, read(self.lattice.grid(index))):
                    size += self.path(index).stat().st_size
                else:
                    empty += 1
                    self._empty.add(index)
                    write_json(self.directory / _FACTS, self._state())
        present, written = len(tiles) - len(missing), len(missing) - empty
        return DownloadSummary(self.directory, len(tiles), present, written, empty, size, option)

    def _write(self, index: Index, strips: Strips) -> bool:
        """Write a tile, whole; False, and no file, where it holds no data."""
        path, row, data = self.path(index), 0, False
        try:
            with atomic_path(path) as temporary:
                with _saving(path), rasterio.open(temporary, "w", **self._profile(index)) as file:
                    file.descriptions = self.content.bands
                    for strip in strips:
                        window = Window(0, row, strip.shape[2], strip.shape[1])
                        valid = ~np.isnan(strip) if self.content.nodata is not None else strip != 0
                        data = data or bool(valid.any())
                        counts = strip if self.content.nodata is None else np.where(valid, strip, self.content.nodata)
                        file.write(counts.astype(self.content.dtype), window=window)
                        row += strip.shape[1]
                if not data:
                    raise _NoDataError
                with open_address(str(temporary)) as written:
                    check_not_cut(temporary, written)  # a full disk shows only here
        except _NoDataError:
            return False
        return True

    def _profile(self, index: Index) -> dict[str, Any]:
        grid = self.lattice.grid(index)
        assert grid.transform is not None
        return {
            "driver": "GTiff", "width": grid.width, "height": grid.height, "count": len(self.content.bands),
            "dtype": self.content.dtype, "crs": grid.crs, "transform": Affine(*grid.transform),
            "nodata": self.content.nodata, "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate",
            "predictor": 3 if np.issubdtype(self.content.dtype, np.floating) else 2, "bigtiff": "if_safer",
        }  # fmt: skip

    def _state(self) -> dict[str, Any]:
        return {"format": 1, **self._facts, "empty": sorted(self._empty)}

    def _known(self) -> dict[str, Any]:
        """What the folder's own file says. UserError where it is of other tiles, or tiles are there without it."""
        file = self.directory / _FACTS
        if not file.exists():
            others = tiff_files(self.directory) if self.directory.is_dir() else []
            if others:
                raise UserError(f"--target-dir: {self.directory} holds {others[0].name}, not fetched by this command.")
            return {}
        try:
            known: dict[str, Any] = json.loads(file.read_bytes())
            other = [key for key, value in self._facts.items() if known[key] != value]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise UserError(f"--target-dir: {file} cannot be read ({error}); choose another directory.") from None
        if other:
            key = other[0]
            raise UserError(
                f"--target-dir: {self.directory} holds other tiles: {key} {known[key]} against {self._facts[key]}; "
                "choose another directory."
            )
        return known


@contextmanager
def _saving(path: Path) -> Iterator[None]:
    try:
        yield
    except RasterioError as error:
        reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        raise UserError(f"{path}: cannot be written ({reason}).") from None


def _phase(origin: float, pixel: float) -> float:
    """Where, within a pixel, the corners of pixels lie: 0 up to `pixel`, rounded so that one lattice has one text."""
    shift = origin / pixel - math.floor(origin / pixel)
    return 0.0 if min(shift, 1 - shift) < _ROUND else round(shift, 4) * pixel


def _steps(low: float, high: float) -> tuple[int, int]:
    return math.floor(low), math.floor(high) + 1
