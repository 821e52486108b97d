"""Reading metadata.parquet: row i is patch i, whoever wrote it."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from darts_train.base.errors import UserError, listing
from darts_train.dataset.schema import NO_REGION

REQUIRED = ("sample_id", "region", "empty")


def read_metadata(path: Path, samples: int | None = None) -> pd.DataFrame:
    """Read the rows of a set, sorted by their index, which is the index in x and y.

    `sample_id` and `region` come as text (a missing region as "No Region"), `empty` as bool. Geometry stays WKB.

    Args:
        path: metadata.parquet.
        samples: number of samples in x and y, where known.

    Raises:
        UserError: the file is absent, damaged, or without a required column; the number of rows is not that of the
            samples; the index is not 0 … n - 1; `sample_id` or `empty` has missing or wrong values.
    """
    frame = _read(path)
    missing = [name for name in REQUIRED if name not in frame.columns]
    if missing:
        raise UserError(f"{path}: column {listing(missing)} missing; it has {listing(frame.columns, 12)}.")
    if samples is not None and len(frame) != samples:
        raise UserError(f"{path} has {len(frame)} rows for {samples} samples in data.zarr; the set is not whole.")
    frame = _in_order(frame, path)
    for name in ("sample_id", "empty"):
        if frame[name].isna().any():
            row = int(frame.index[frame[name].isna()][0])
            raise UserError(f"{path}: column {name} has no value in row {row}.")
    return frame.assign(
        sample_id=frame["sample_id"].astype(str),
        region=frame["region"].astype(object).where(frame["region"].notna(), NO_REGION).astype(str),
        empty=_booleans(frame["empty"], path),
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        frame = pq.read_table(path).to_pandas()
    except FileNotFoundError:
        raise UserError(f"{path} is missing.") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable parquet file: {str(error).splitlines()[0]}") from None
    return pd.DataFrame(frame)


def _in_order(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    if not pd.api.types.is_integer_dtype(frame.index.dtype):
        raise UserError(f"{path}: its index is not the index of the patches in data.zarr (whole numbers from 0).")
    frame = frame.sort_index()
    if (len(frame) and list(frame.index[[0, -1]]) != [0, len(frame) - 1]) or not frame.index.is_unique:
        raise UserError(f"{path}: its index must be 0 to {len(frame) - 1}, each once: the index in data.zarr.")
    return frame.set_axis(pd.RangeIndex(len(frame)), axis=0)


def _booleans(column: "pd.Series[bool]", path: Path) -> "pd.Series[bool]":
    if not set(column.unique()) <= {False, True}:  # 0 and 1 are equal to these, texts are not
        raise UserError(f"{path}: column empty must be true or false, not {listing(column.unique())}.")
    return column.astype(bool)
