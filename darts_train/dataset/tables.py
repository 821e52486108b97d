"""The files that are a pure function of the journal: metadata.parquet, scenes.parquet, labels.geojson, config.toml."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from darts_train.base.files import atomic_path, write_text
from darts_train.dataset.added_columns import read_added, with_added
from darts_train.dataset.journal import Journal
from darts_train.dataset.layout import CONFIG, LABELS, METADATA, SCENES
from darts_train.dataset.parquet import write_parquet
from darts_train.dataset.schema import SCENES_SCHEMA, metadata_schema, scene_row, table_row
from darts_train.dataset.set_config import SetConfig


def write_products(root: Path, journal: Journal, config: SetConfig) -> pa.Table:
    """Write all four, each atomically and metadata.parquet last: its presence says that the set is whole.

    Returns the table of the patches.
    """
    scenes = pa.Table.from_pylist([scene_row(record) for record in journal.scenes.values()], schema=SCENES_SCHEMA)
    patches = pa.Table.from_pylist([table_row(row) for row in journal.rows()], schema=metadata_schema(config.columns))
    patches = with_added(patches, read_added(root))
    write_parquet(root / SCENES, scenes)
    write_labels(root / LABELS, journal.labels())
    write_text(root / CONFIG, config.to_toml())
    write_parquet(root / METADATA, patches)
    return patches


def write_labels(path: Path, features: Iterable[Mapping[str, Any]]) -> None:
    """Write a GeoJSON collection atomically, one feature per line; coordinates are EPSG:4326, as RFC 7946 has it."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", errors="replace") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for index, feature in enumerate(features):
            file.write(",\n" if index else "\n")
            file.write(json.dumps(feature, ensure_ascii=False, allow_nan=False))
        file.write("\n]}\n")
