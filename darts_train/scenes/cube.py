"""A cube: a zarr directory (format 2 or 3) as xarray writes it, read by window.

    dem (y, x)  or  (time, y, x)      one variable for each band; of several times or years the last
    x, y                              places of the pixels' middles, evenly spaced, rising or falling
    spatial_ref                       the coordinate system, in the attribute crs_wkt

Attributes _FillValue, missing_value, scale_factor and add_offset are obeyed as xarray does.
"""

import base64
import binascii
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from rasterio.crs import CRS
from rasterio.errors import CRSError

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary_file import physical

_MARKS = ("zarr.json", ".zgroup", ".zmetadata")
_ACROSS = ("x", "lon", "longitude", "easting")
_DOWN = ("y", "lat", "latitude", "northing")
_CRS_KEYS = ("crs_wkt", "spatial_ref", "proj:wkt2", "proj:code", "crs")
_UNEVEN = 0.15  # of a pixel by which a place may be off: float32 metres of a polar grid are 0.125 off at 2 m
_log = logger("scenes")


@dataclass(frozen=True)
class _Variable:
    """A variable: where in its leading dimensions it is read, and how counts become values."""

    name: str
    leading: tuple[int, ...]
    missing: tuple[float, ...]
    scale: float
    offset: float


@dataclass(frozen=True)
class ZarrCube:
    """A cube that can be opened; see `PixelSource` for what its methods promise.

    `grid` has its first row in the north and its first column in the west; `flipped` says whether the rows and the
    columns of the arrays run the other way.
    """

    address: str
    grid: Grid
    variables: tuple[_Variable, ...]
    flipped: tuple[bool, bool]
    parts: tuple[Path, ...]

    @classmethod
    def open(cls, path: Path, option: str) -> "ZarrCube":
        """Look at a cube. Raises UserError naming the option where it is none that can be laid on the earth."""
        with _group(path) as group:
            arrays = {name: item for name, item in sorted(group.members()) if isinstance(item, zarr.Array)}
            planes = {name: _dimensions(array) for name, array in arrays.items() if len(_dimensions(array)) >= 2}
            planes = {name: dims for name, dims in planes.items() if dims[-2] in _DOWN and dims[-1] in _ACROSS}
            if not planes:
                raise UserError(f"{option}: {path} has no variable on (y, x).")
            first = next(iter(planes))
            rows, columns = planes[first][-2:]
            down, up = _axis(arrays, rows, path, option)
            across, left = _axis(arrays, columns, path, option)
            crs = _crs(arrays, first, dict(group.attrs))
            variables = tuple(_variable(name, arrays[name]) for name in planes if planes[name][-2:] == (rows, columns))
        if crs is None:
            raise UserError(f"{option}: {path} says no coordinate system (spatial_ref with crs_wkt).")
        width, height = across.size, down.size
        step_x, step_y = abs(_step(across)), abs(_step(down))
        west, north = float(across.min()) - step_x / 2, float(down.max()) + step_y / 2
        grid = Grid(width, height, (step_x, 0.0, west, 0.0, -step_y, north), crs)
        for variable in variables:
            if any(variable.leading):
                _log.info("%s: the last of %d layers of %s is used", path, variable.leading[0] + 1, variable.name)
        return cls(str(path), grid, variables, (up, left), _stamped(path))

    @property
    def labels(self) -> tuple[str | None, ...]:
        """Names of the variables."""
        return tuple(variable.name for variable in self.variables)

    def files(self, window: Window) -> tuple[Path, ...]:
        """Metadata, and the directories of the chunks: their times change when a chunk is written."""
        return self.parts

    def outlines(self, window: Window) -> list[Window]:
        """All of it."""
        return [self.grid.extent]

    def read(self, bands: Sequence[int], window: Window) -> np.ndarray:
        """See `PixelSource.read`."""
        rows = _slice(window.y, window.bottom, self.grid.height, self.flipped[0])
        columns = _slice(window.x, window.right, self.grid.width, self.flipped[1])
        values = np.empty((len(bands), window.height, window.width), np.float32)
        with _group(Path(self.address)) as group:
            for i, variable in enumerate(self.variables[band] for band in bands):
                counts = np.asarray(group[variable.name][(*variable.leading, rows, columns)])  # type: ignore[index]
                turned = counts[:: -1 if self.flipped[0] else 1, :: -1 if self.flipped[1] else 1]
                valid = ~np.isin(turned, variable.missing)
                values[i] = physical(turned[None], valid[None], [variable.scale], [variable.offset])[0]
        return values


def is_cube(path: Path) -> bool:
    """Whether a directory is a zarr group."""
    return any((path / mark).is_file() for mark in _MARKS)


def is_icechunk(path: Path) -> bool:
    """Whether a directory is a versioned icechunk repository, whose chunks have no names."""
    return (path / "snapshots").is_dir() and ((path / "refs").is_dir() or (path / "repo").exists())


@contextmanager
def _group(path: Path) -> Iterator[zarr.Group]:
    """The group, open for reading. What zarr raises, within the block too, becomes UserError naming the directory."""
    try:
        yield zarr.open_group(path, mode="r")
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
        raise UserError(f"{path}: cannot be read as a zarr cube ({reason}).") from None


def _dimensions(array: Any) -> tuple[str, ...]:
    """Names of the dimensions: of format 3 in the metadata, of format 2 in an attribute."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS", ())
    return tuple(str(name) for name in names)


def _axis(arrays: dict[str, Any], name: str, path: Path, option: str) -> tuple[np.ndarray, bool]:
    """Places float64 [n] along an axis, and whether they run from the south, or from the east."""
    if name not in arrays or arrays[name].ndim != 1 or arrays[name].shape[0] < 2:
        raise UserError(f"{option}: {path} has no coordinate {name} of at least two places.")
    places = np.asarray(arrays[name][:], float)
    step = _step(places)
    even = places[0] + step * np.arange(places.size)
    off = float(np.abs(places - even).max() / abs(step)) if step else np.inf
    if not off <= _UNEVEN:
        raise UserError(f"{option}: {path}: coordinate {name} is not evenly spaced (off by {off:.3g} pixels).")
    return places, step > 0 if name in _DOWN else step < 0


def _step(places: np.ndarray) -> float:
    return float(places[-1] - places[0]) / (places.size - 1)


def _crs(arrays: dict[str, Any], variable: str, attributes: dict[str, Any]) -> str | None:
    """The coordinate system: of the variable's grid mapping, of spatial_ref or crs, of the variable, of the group."""
    named = str(arrays[variable].attrs.get("grid_mapping", ""))
    places = [dict(arrays[name].attrs) for name in (named, "spatial_ref", "crs", variable) if name in arrays]
    for place in (*places, attributes):
        for key in _CRS_KEYS:
            if isinstance(place.get(key), str | int):
                try:
                    return str(CRS.from_user_input(place[key]).to_string())
                except CRSError:
                    continue
    return None


def _variable(name: str, array: Any) -> _Variable:
    attributes = dict(array.attrs)
    missing = [attributes.get("_FillValue"), attributes.get("missing_value")]
    if array.metadata.zarr_format == 2:  # where xarray keeps it there; in format 3 it is only what chunks begin as
        missing.append(array.metadata.fill_value)
    numbers = [_number(value) for value in missing if value is not None]
    return _Variable(
        name,
        tuple(size - 1 for size in array.shape[:-2]),
        tuple(number for number in numbers if number is not None and not np.isnan(number)),
        float(attributes.get("scale_factor", 1.0)),
        float(attributes.get("add_offset", 0.0)),
    )


def _number(value: Any) -> float | None:
    """A fill value: a number, its text, or eight bytes in base64 (xarray's way in format 3); None where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        return float(struct.unpack("<d", base64.standard_b64decode(value))[0])
    except (TypeError, ValueError, struct.error, binascii.Error):
        return None


def _slice(start: int, stop: int, size: int, flipped: bool) -> slice:
    return slice(size - stop, size - start) if flipped else slice(start, stop)


def _stamped(path: Path) -> tuple[Path, ...]:
    """Files and directories whose times tell whether the cube was changed."""
    found = [file for mark in (*_MARKS, ".zarray", ".zattrs") for file in path.rglob(mark)]
    return tuple(sorted([*found, *(place for place in path.rglob("*") if place.is_dir())]))
