"""What a patch, a tile and a scene are to the writer, and the explicit schemas of the two parquet files.

The schemas are written down rather than inferred, so that a set without a single geometry, group or date has the
same columns and types as any other.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from darts_train.dataset.columns import Cell, Column

DONE = "done"
LEFT_OUT = "left out"
NO_REGION = "No Region"


@dataclass(frozen=True)
class PatchRow:
    """One patch. Attributes as in metadata.parquet; the writer adds the checksum.

    Attributes:
        patch_id: number within the scene.
        sample_id: id of the scene it was cut from.
        region: where it lies.
        group: patches of one group should stay together in a split.
        empty: no pixel of a foreground class.
        x: left pixel column of the window in the scene.
        y: top pixel row of the window in the scene.
        valid_fraction: share of labelled pixels, 0 to 1.
        positive_fraction: share of foreground pixels, 0 to 1.
        class_fractions: share of each class, in the order of the set's classes.
        geometry: WKB polygon in EPSG:4326, None without georeference.
        source: file it came from.
        date: acquisition date, ISO 8601.
        columns: further columns, those that the set's config declares.
    """

    patch_id: int
    sample_id: str
    region: str = NO_REGION
    group: str | None = None
    empty: bool = True
    x: int = 0
    y: int = 0
    valid_fraction: float = 1.0
    positive_fraction: float = 0.0
    class_fractions: Sequence[float] = ()
    geometry: bytes | None = None
    source: str = ""
    date: str | None = None
    columns: Mapping[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class SceneRecord:
    """One scene: what became of it. `clipped` counts pixels per band whose value was beyond the encoding."""

    scene_id: str
    status: str = DONE
    patches: int = 0
    reason: str | None = None
    source: str = ""
    region: str = NO_REGION
    date: str | None = None
    clipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Tile:
    """A part of a scene that is committed at once.

    Attributes:
        scene_id: the scene.
        number: 0, 1, 2, … within the scene.
        rows: n patches.
        x: codes, uint16 [n, c, P, P].
        y: class indices, uint8 [n, P, P].
        scene: given with the last tile of the scene (n may be 0), else None.
        labels: GeoJSON features in EPSG:4326, given with the last tile.
    """

    scene_id: str
    number: int
    rows: Sequence[PatchRow]
    x: np.ndarray
    y: np.ndarray
    scene: SceneRecord | None = None
    labels: Sequence[Mapping[str, Any]] = ()

    @property
    def key(self) -> str:
        """Name of the tile in `TrainDataWriter.tiles_done`."""
        return tile_key(self.scene_id, self.number)


def tile_key(scene_id: str, number: int) -> str:
    """Name of tile `number` of a scene: `scene#3`. No two tiles share one, as the number has no `#`."""
    return f"{scene_id}#{number}"


# The coordinate system as PROJJSON; GeoParquet means longitude, latitude whatever the axes of the system say.
_WGS84 = {
    "$schema": "https://proj.org/schemas/v0.7/projjson.schema.json",
    "type": "GeographicCRS",
    "name": "WGS 84",
    "datum": {
        "type": "GeodeticReferenceFrame",
        "name": "World Geodetic System 1984",
        "ellipsoid": {"name": "WGS 84", "semi_major_axis": 6378137, "inverse_flattening": 298.257223563},
    },
    "coordinate_system": {
        "subtype": "ellipsoidal",
        "axis": [
            {"name": "Geodetic latitude", "abbreviation": "Lat", "direction": "north", "unit": "degree"},
            {"name": "Geodetic longitude", "abbreviation": "Lon", "direction": "east", "unit": "degree"},
        ],
    },
    "id": {"authority": "EPSG", "code": 4326},
}
_GEO = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {"geometry": {"encoding": "WKB", "geometry_types": [], "crs": _WGS84}},
}

METADATA_SCHEMA = pa.schema(
    [
        ("patch_id", pa.int64()),
        ("sample_id", pa.string()),
        ("region", pa.string()),
        ("group", pa.string()),
        ("empty", pa.bool_()),
        ("x", pa.int64()),
        ("y", pa.int64()),
        ("valid_fraction", pa.float64()),
        ("positive_fraction", pa.float64()),
        ("class_fractions", pa.list_(pa.float64())),
        ("geometry", pa.binary()),
        ("source", pa.string()),
        ("date", pa.string()),
        ("checksum", pa.string()),
    ],
    metadata={"geo": json.dumps(_GEO)},
)


def metadata_schema(columns: Sequence[Column]) -> pa.Schema:
    """The schema of a set's metadata.parquet: the columns of every set, then those that its config declares."""
    schema = METADATA_SCHEMA
    for column in columns:
        schema = schema.append(pa.field(column.name, column.arrow_type))
    return schema


SCENES_SCHEMA = pa.schema(
    [
        ("scene_id", pa.string()),
        ("status", pa.string()),
        ("patches", pa.int64()),
        ("reason", pa.string()),
        ("source", pa.string()),
        ("region", pa.string()),
        ("date", pa.string()),
        ("clipped", pa.map_(pa.string(), pa.int64())),
    ]
)


def plain_row(row: PatchRow, checksum: str) -> dict[str, Any]:
    """A patch as JSON can hold it: WKB as hexadecimal text, NaN as None."""
    plain: dict[str, Any] = plain_json(asdict(row) | {"geometry": None})
    plain["geometry"] = None if row.geometry is None else bytes(row.geometry).hex()
    return plain | {"checksum": checksum}


def table_row(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse for one row of metadata.parquet: geometry as bytes again, further columns beside the others."""
    geometry, further = plain["geometry"], plain.get("columns", {})
    return _utf8({**plain, **further}) | {"geometry": None if geometry is None else bytes.fromhex(geometry)}


def plain_scene(record: SceneRecord) -> dict[str, Any]:
    """A scene as JSON can hold it; bands in `clipped` in alphabetical order, those with 0 left out."""
    plain: dict[str, Any] = plain_json(asdict(record))
    counts = plain["clipped"]
    plain["clipped"] = {band: counts[band] for band in sorted(counts) if counts[band]}
    return plain


def scene_row(plain: Mapping[str, Any]) -> dict[str, Any]:
    """One row of scenes.parquet: `clipped` as the pairs of a map."""
    return _utf8(plain) | {"clipped": list(plain["clipped"].items())}


def _utf8(row: Mapping[str, Any]) -> dict[str, Any]:
    """Texts as parquet can hold them: bytes of a file name that are no UTF-8 become `?`."""
    return {k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in row.items()}


def plain_json(value: Any) -> Any:
    """Value as JSON can hold it: NumPy scalars as numbers, sequences as lists, NaN and infinity as None.

    Raises TypeError where a value has no such form: what cannot be stored must not be lost silently.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON")
