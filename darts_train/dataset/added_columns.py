"""Columns that are added to a finished set: the group a patch belongs to, how hard a model found it.

They are kept in columns.parquet beside metadata.parquet, by scene and patch, so that a set that is written on later
keeps them, and metadata.parquet is written anew with them. A column that is there already (`group`) is replaced where
the added one has a value. Pixels are never touched, and the data hash stays.
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from darts_train.base.errors import UserError, listing
from darts_train.base.locks import exclusive_lock
from darts_train.dataset.layout import ADDED, JOURNAL, LOCK, METADATA
from darts_train.dataset.parquet import write_parquet
from darts_train.dataset.schema import METADATA_SCHEMA

_KEYS = ("sample_id", "patch_id")
_FIXED = frozenset(METADATA_SCHEMA.names) - {"group", "region", "date"}


def add_columns(root: Path, columns: pd.DataFrame) -> None:
    """Add columns to the metadata of a finished set, or replace those that were added before.

    Args:
        root: train data directory.
        columns: row i is patch i; texts (object, None where missing), bool, int or float columns.

    Raises:
        UserError: a name is that of a column the set itself writes, another process is writing the set, or it has
            another number of patches.
    """
    own = [name for name in columns.columns if name in _FIXED]
    if own:
        raise UserError(f"{root}: column {listing(own)} is the set's own and cannot be replaced.")
    with exclusive_lock(root / JOURNAL / LOCK, str(root)):
        table = pq.read_table(root / METADATA)
        if table.num_rows != len(columns):
            raise UserError(f"{root / METADATA} has {table.num_rows} rows, not {len(columns)}; open the set again.")
        if set(_KEYS) <= set(table.column_names):
            _remember(root, table, columns)
        write_parquet(root / METADATA, _with_columns(table, columns))


def read_added(root: Path) -> pa.Table | None:
    """The columns that were added, with sample_id and patch_id; None where none were."""
    path = root / ADDED
    return pq.read_table(path) if path.exists() else None


def with_added(patches: pa.Table, added: pa.Table | None) -> pa.Table:
    """The table of the patches, with what was added to those that are known; new ones have none."""
    if added is None:
        return patches
    keys = patches.select(_KEYS).to_pandas()
    frame = keys.merge(added.to_pandas(), on=list(_KEYS), how="left", validate="one_to_one").drop(columns=list(_KEYS))
    return _with_columns(patches, frame)


def _remember(root: Path, table: pa.Table, columns: pd.DataFrame) -> None:
    known = read_added(root)
    frame = table.select(_KEYS).to_pandas()
    if known is not None:
        kept = known.to_pandas().drop(columns=[name for name in columns.columns if name in known.column_names])
        frame = frame.merge(kept, on=list(_KEYS), how="left", validate="one_to_one")
    for name in columns.columns:
        frame[name] = columns[name].to_numpy()
    write_parquet(root / ADDED, pa.Table.from_pandas(frame, preserve_index=False))


def _with_columns(table: pa.Table, columns: pd.DataFrame) -> pa.Table:
    for name in columns.columns:
        values = pa.Array.from_pandas(columns[name])
        place = table.schema.get_field_index(name)
        if place < 0:
            table = table.append_column(name, values)
            continue
        field, before = table.schema.field(place), table.column(place)
        cells = zip(values.cast(field.type).to_pylist(), before.to_pylist(), strict=True)
        merged = [after if after is not None else old for after, old in cells]
        table = table.set_column(place, field, pa.array(merged, field.type))
    return table
