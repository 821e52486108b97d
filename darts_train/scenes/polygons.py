"""Vector files of polygons: read, mended, with a count of what was mended and what was left out."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from darts_train.base.errors import UserError, listing, nearest

VECTOR_SUFFIXES = (".gpkg", ".geojson", ".shp", ".fgb")
_POLYGONAL = (3, 6)  # shapely's type numbers of Polygon and MultiPolygon
_COLLECTION = 7


@dataclass(frozen=True)
class Polygons:
    """Polygons of one file or several.

    `geometries` [n] are valid and not empty; `values` [n] holds the wanted column, `labels` [n] the one that says the
    class, None each where none was wanted. `mended` counts geometries that were invalid, `dropped` those that were
    empty or had no area.
    """

    source: str
    crs: str | None
    geometries: np.ndarray
    values: np.ndarray
    labels: np.ndarray
    mended: int = 0
    dropped: int = 0

    def where(self, chosen: np.ndarray) -> "Polygons":
        """Those at true positions, or at the given indices."""
        return Polygons(self.source, self.crs, self.geometries[chosen], self.values[chosen], self.labels[chosen])


@dataclass(frozen=True)
class LabelFilter:
    """Which polygons count: those whose `column` holds one of `values`, compared as text."""

    column: str
    values: tuple[str, ...]

    @classmethod
    def parse(cls, text: str | None) -> "LabelFilter | None":
        """Read COLUMN=VALUE or COLUMN=VALUE|VALUE; None of None. UserError where it is neither."""
        if text is None:
            return None
        column, sign, values = text.partition("=")
        if not sign or not column.strip():
            raise UserError(f"--label-filter: {text} is not COLUMN=VALUE or COLUMN=VALUE|VALUE.")
        return cls(column.strip(), tuple(value.strip() for value in values.split("|")))


def read_polygons(
    path: Path, column: str | None = None, class_column: str | None = None, chosen: LabelFilter | None = None
) -> Polygons:
    """Read a vector file; `column` and `class_column` are attributes to keep, `chosen` says which polygons count.

    Raises UserError where the file cannot be read, holds other shapes than polygons, or lacks a column (with the
    nearest names). A file without a feature gives no polygon.
    """
    frame = _read_frame(path)
    for name in (column, class_column, None if chosen is None else chosen.column):
        known = [known for known in frame.columns if known != frame.geometry.name]
        if name is not None and name not in known:
            raise UserError(f"{path}: no column {name}; it has {listing(known, 12)}{nearest(name, known)}.")
    if chosen is not None and len(frame):
        frame = frame[frame[chosen.column].map(_text).isin(chosen.values)]
    crs = frame.crs.to_wkt() if frame.crs is not None else None
    geometries, mended = mend(np.asarray(frame.geometry.values, object), str(path))
    kept = ~(shapely.is_missing(geometries) | shapely.is_empty(geometries))
    values, labels = (_column(frame, name)[kept] for name in (column, class_column))
    return Polygons(str(path), crs, geometries[kept], values, labels, mended, int((~kept).sum()))


def _column(frame: Any, name: str | None) -> np.ndarray:
    return np.full(len(frame), None, object) if name is None else np.asarray(frame[name].to_numpy(object))


def _text(value: Any) -> str:
    """A value as a user writes it: a column with gaps holds whole numbers as 1.0."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _read_frame(path: Path) -> Any:
    import geopandas
    from pyogrio.errors import DataLayerError, DataSourceError

    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = geopandas.read_file(path)
    except (DataSourceError, DataLayerError, shapely.errors.ShapelyError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"{path}: cannot be read as a vector file ({reason}).") from None
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise UserError(f"{path}: a table without geometries.")
    return frame


def mend(geometries: np.ndarray, source: str) -> tuple[np.ndarray, int]:
    """Make geometries valid, in two dimensions.

    A figure of eight becomes two polygons; what has no area after that, or an infinite corner, becomes empty.

    Returns:
        The geometries [n], in their order, and how many were invalid. Raises UserError where one is a point or a line.
    """
    flat = shapely.force_2d(geometries)
    types = shapely.get_type_id(flat)
    other = ~np.isin(types, (*_POLYGONAL, _COLLECTION, -1)) & ~shapely.is_empty(flat)
    if other.any():
        raise UserError(
            f"{source}: {int(other.sum())} of {len(flat)} shapes are no polygons (first: {flat[other][0].geom_type})."
        )
    coordinates, owners = shapely.get_coordinates(flat, return_index=True)
    flat[np.unique(owners[~np.isfinite(coordinates).all(axis=1)])] = shapely.Polygon()  # GEOS mends no infinity
    invalid = ~(shapely.is_valid(flat) | shapely.is_missing(flat))
    flat[invalid] = shapely.make_valid(flat[invalid])
    for i in np.flatnonzero(shapely.get_type_id(flat) == _COLLECTION):
        flat[i] = _area_of(flat[i])
    flat[np.isin(shapely.get_type_id(flat), (0, 1, 2, 4, 5))] = shapely.Polygon()  # mending left a line
    return flat, int(invalid.sum())


def _area_of(collection: Any) -> Any:
    parts = shapely.get_parts(shapely.get_parts(collection))  # a collection may hold multipolygons
    return shapely.union_all(parts[shapely.get_type_id(parts) == _POLYGONAL[0]])


def class_indices(polygons: Polygons, classes: Sequence[str], column: str | None) -> np.ndarray:
    """Class index of each polygon, uint8 [n]: 1 without a column, else what its label says.

    A value is the name of a class, or its index. Raises UserError, with the values and how often each comes, where
    one is neither.
    """
    if column is None:
        return np.ones(len(polygons.geometries), np.uint8)
    indices = [_class_index(value, classes) for value in polygons.labels]
    unknown = [str(value) for value, index in zip(polygons.labels, indices, strict=True) if index is None]
    if unknown:
        counts = [f"{name} ({unknown.count(name)})" for name in dict.fromkeys(unknown)]
        raise UserError(
            f"{polygons.source}: {column} holds {listing(counts)}, not among --classes {','.join(classes)}"
            f"{nearest(unknown[0], classes)}."
        )
    return np.array(indices, np.uint8)


def _class_index(value: Any, classes: Sequence[str]) -> int | None:
    if str(value) in classes:
        return list(classes).index(str(value))
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() and 0 <= number < len(classes) else None


def vector_files(path: Path, option: str) -> list[Path]:
    """The file itself, or the vector files directly in a directory, by name. UserError where there is none."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"{option}: {path} does not exist.")
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in VECTOR_SUFFIXES)
    if not found:
        raise UserError(f"{option}: no vector file in {path} ({', '.join(VECTOR_SUFFIXES)}).")
    return found
