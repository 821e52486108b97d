"""run_infos.parquet: one row per run of a cross-validation.

Written anew, atomically, after every run: a table of some ten rows costs nothing, and whoever looks at a
cross-validation that is still going on, or that was killed, sees what there is. The same rows travel as JSON in
the database of a search, where non-finite numbers are text, for other programs read that database too.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path

RUN_INFOS_FILE = "run_infos.parquet"
LAST = "last/"  # before the names of the last epoch's metrics
TEXT = ("run_name", "run_id", "checkpoint", "status", "error", "kind")
WHOLE = ("fold", "seed")
TRUTH = ("is_unstable", "score_is_unstable")
# Why a run failed: no memory for it; numbers that are not finite; a process, disk or device that went; settings that
# cannot be; a mistake in a program.
FailureKind = Literal["memory", "numbers", "machine", "configuration", "bug"]
COLUMNS = ("run_name", "run_id", "fold", "seed", "duration", "checkpoint", "status", "error", "kind", "is_unstable")


@dataclass(frozen=True)
class RunRow:
    """A run that has come to an end: finished with metrics, failed with an error, or pruned for a reason (in `error`).

    `duration` is in seconds. `metrics` are those of the best checkpoint, `last_metrics` those of the last
    validation; values are floats, NaN where a metric has none.
    """

    run_name: str
    run_id: str
    fold: int
    seed: int
    status: Literal["finished", "failed", "pruned"]
    duration: float = 0.0
    checkpoint: str | None = None
    error: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    last_metrics: Mapping[str, float] = field(default_factory=dict)
    kind: FailureKind | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values; NaN and infinities as text."""
        metrics = {name: _to_text(value) for name, value in self.metrics.items()}
        last = {name: _to_text(value) for name, value in self.last_metrics.items()}
        return {**asdict(self), "metrics": metrics, "last_metrics": last}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "RunRow":
        """The row that `to_json` gave; raises UserError where it did not."""
        try:
            metrics = {name: float(value) for name, value in values["metrics"].items()}
            last = {name: float(value) for name, value in values["last_metrics"].items()}
            return cls(**{**values, "metrics": metrics, "last_metrics": last})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"a stored run cannot be read: {error!r}; was it written by another version?") from None


def run_infos(
    rows: Sequence[RunRow], run_is_unstable: Sequence[bool], score: float, score_is_unstable: bool
) -> pd.DataFrame:
    """The table of a cross-validation: one row per run, floats as float64, absent metrics NaN.

    Columns: run_name, run_id, fold, seed, duration, checkpoint, status, error, kind, is_unstable, the metrics, those
    of the last epoch under `last/`, and score and score_is_unstable, which are the same in every row.
    """
    names = sorted({name for row in rows for name in row.metrics})
    last_names = sorted({name for row in rows for name in row.last_metrics})
    table: dict[str, list[Any]] = {name: [getattr(row, name) for row in rows] for name in COLUMNS[:-1]}
    table["is_unstable"] = list(run_is_unstable)
    table |= {name: [row.metrics.get(name, math.nan) for row in rows] for name in names}
    table |= {LAST + name: [row.last_metrics.get(name, math.nan) for row in rows] for name in last_names}
    table["score"] = [score] * len(rows)
    table["score_is_unstable"] = [score_is_unstable] * len(rows)
    return pd.DataFrame({name: pd.Series(values, dtype=_dtype(name)) for name, values in table.items()})


def write_run_infos(directory: Path, infos: pd.DataFrame) -> None:
    """Write run_infos.parquet into a cross-validation's directory, atomically."""
    write_table(directory / RUN_INFOS_FILE, infos)


def read_run_infos(directory: Path) -> pd.DataFrame:
    """The table of a cross-validation's directory; UserError where there is none, or one that cannot be read."""
    path = directory / RUN_INFOS_FILE
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; {directory} is not a cross-validation with a run in it.") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, atomically; a text column without a text stays a text column."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    for index, name in enumerate(arrow.column_names):
        if pa.types.is_null(arrow.schema.field(name).type):
            arrow = arrow.set_column(index, name, arrow.column(name).cast(pa.string()))
    with atomic_path(path) as temporary:
        pq.write_table(arrow, temporary)


def _dtype(name: str) -> str:
    if name in TEXT:
        return "object"
    if name in WHOLE:
        return "int64"
    return "bool" if name in TRUTH else "float64"


def _to_text(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))
