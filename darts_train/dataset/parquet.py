"""Writing a parquet file of a train data directory."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from darts_train.base.files import atomic_path


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table atomically, zstd-compressed. The same table gives the same bytes on one version of pyarrow."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
