"""The files that are a pure function of the journal: metadata.parquet, scenes.parquet, labels.geojson, config.toml."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from darts_train.base.files import atomic_path, write_text
from darts_train.dataset.journal import Journal
from darts_train.dataset.layout import CONFIG, LABELS, METADATA, SCENES
from darts_train.dataset.schema import METADATA_SCHEMA, SCENES_SCHEMA, scene_row, table_row
from darts_train.dataset.set_config import SetConfig


def write_products(root: Path, journal: Journal, config: SetConfig) -> pa.Table:
    """Write all four, each atomically and metadata.parquet last: its presence says that the set is whole.

    Returns the table of the patches.
    """
    scenes = pa.Table.from_pylist([scene_row(record) for record in journal.scenes.values()], schema=SCENES_SCHEMA)
    patches = pa.Table.from_pylist([table_row(row) for row in journal.rows()], schema=METADATA_SCHEMA)
    write_parquet(root / SCENES, scenes)
    write_labels(root / LABELS, journal.labels())
    write_text(root / CONFIG, config.to_toml())
    write_parquet(root / METADATA, patches)
    return patches


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table atomically, zstd-compressed. The same table gives the same bytes on one version of pyarrow."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def write_labels(path: Path, features: Iterable[Mapping[str, Any]]) -> None:
    """Write a GeoJSON collection atomically, one feature per line; coordinates are EPSG:4326, as RFC 7946 has it."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", errors="replace") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for index, feature in enumerate(features):
            file.write(",\n" if index else "\n")
            file.write(json.dumps(feature, ensure_ascii=False, allow_nan=False))
        file.write("\n]}\n")
