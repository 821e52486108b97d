"""Files of polygons, written a batch at a time: GeoPackage and GeoParquet."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
from pyproj import CRS

LAYER = "segments"
MULTI = "MultiPolygon"
_SAME_DATE = "2000-01-01T00:00:00.000Z"  # that GDAL notes in a GeoPackage: the same map is the same bytes
_SCHEMA = (
    ("class_index", pa.int32()), ("class", pa.string()), ("pixels", pa.int64()), ("area_m2", pa.float64()),
    ("mean_probability", pa.float64()), ("max_probability", pa.float64()), ("geometry", pa.binary()),
)  # fmt: skip


class SegmentFile(Protocol):
    """A file that takes polygons."""

    def write(self, frame: gpd.GeoDataFrame) -> None:
        """Add rows. The first batch, which may be empty, makes the file."""
        ...

    def close(self) -> None:
        """Nothing else comes."""
        ...


@dataclass
class GeoPackage:
    """A GeoPackage with one layer."""

    path: Path
    crs: str | None

    def write(self, frame: gpd.GeoDataFrame) -> None:
        """See `SegmentFile.write`."""
        there = self.path.exists()
        with warnings.catch_warnings(), _fixed_date():
            warnings.simplefilter("ignore")  # a layer without a CRS is what was asked for
            pyogrio.write_dataframe(
                frame, self.path, layer=LAYER, driver="GPKG", geometry_type=MULTI, append=there,
            )  # fmt: skip

    def close(self) -> None:
        """See `SegmentFile.close`."""


@contextmanager
def _fixed_date() -> Iterator[None]:
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _SAME_DATE})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


@dataclass
class GeoParquet:
    """A GeoParquet file 1.0; its metadata, which hold the bounds of all, are written at the end."""

    path: Path
    crs: str | None
    _writer: Any = field(default=None, init=False)
    _bounds: list[tuple[float, ...]] = field(default_factory=list, init=False)

    def write(self, frame: gpd.GeoDataFrame) -> None:
        """See `SegmentFile.write`."""
        schema = pa.schema(list(_SCHEMA))
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, schema, compression="zstd")
        columns = {name: frame[name] for name, _ in _SCHEMA[:-1]} | {"geometry": frame.geometry.to_wkb()}
        self._writer.write_table(pa.table({k: pa.array(v, from_pandas=True) for k, v in columns.items()}, schema))
        if len(frame):
            self._bounds.append(tuple(frame.total_bounds))

    def close(self) -> None:
        """See `SegmentFile.close`. Source of the metadata: GeoParquet specification 1.0.0."""
        if self._writer is None:
            return
        column: dict[str, Any] = {"encoding": "WKB", "geometry_types": [MULTI]}
        column["crs"] = None if self.crs is None else CRS.from_user_input(self.crs).to_json_dict()
        if self._bounds:
            bounds = np.array(self._bounds)
            column["bbox"] = [*bounds[:, :2].min(axis=0).tolist(), *bounds[:, 2:].max(axis=0).tolist()]
        geo = {"version": "1.0.0", "primary_column": "geometry", "columns": {"geometry": column}}
        self._writer.add_key_value_metadata({"geo": json.dumps(geo)})
        self._writer.close()


WRITERS: dict[str, tuple[str, Any]] = {
    "gpkg": (f"{LAYER}.gpkg", GeoPackage),
    "geoparquet": (f"{LAYER}.parquet", GeoParquet),
}
