"""What runs, cross-validations and searches left on the disk, read for a report.

A file that is missing or damaged is no reason for a report to fail: it is passed over with a warning, and the page
shows the rest. Searches and cross-validations that are still going on are read as far as they are.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from darts_train.artifacts.run_infos import RUN_INFOS_FILE
from darts_train.artifacts.run_record import RECORD_FILE, RunRecord, is_abandoned, read_record
from darts_train.base.errors import UserError
from darts_train.base.log import logger

METRICS_FILE, SPLIT_FILE, TEST_FILE, LEAKAGE_FILE = "metrics.csv", "split.parquet", "test_metrics.json", "leakage.json"
_Read = TypeVar("_Read")
_log = logger("reporting")


@dataclass(frozen=True, eq=False)
class RunEvidence:
    """A run.

    Attributes:
        directory: where it lies.
        record: run.json.
        status: of the record; `stopped` where its process is gone.
        curves: metrics.csv; empty without one.
        split: split.parquet (sample_id, region, empty, train, val, test), None without one.
        test: test_metrics.json; empty where it was not tested.
    """

    directory: Path
    record: RunRecord
    status: str
    curves: pd.DataFrame
    split: pd.DataFrame | None
    test: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class CvEvidence:
    """A cross-validation.

    Attributes:
        name: its name.
        directory: where it lies.
        table: run_infos.parquet; without one an empty table.
        settings: those of cv.json; empty without it.
        runs: runs that have a record on this disk, by fold and seed.
        leakage: leakage.json; empty without it.
    """

    name: str
    directory: Path
    table: pd.DataFrame
    settings: dict[str, Any]
    runs: list[RunEvidence]
    leakage: dict[str, Any] = field(default_factory=dict)

    @property
    def planned(self) -> int:
        """How many runs there are to be; as many as there are where the settings do not tell."""
        seeds = len(self.settings.get("seeds") or ())
        return int(self.settings.get("n_folds") or 0) * seeds or len(self.table)


def read_run(directory: Path) -> RunEvidence:
    """A run's files. Raises UserError where its record is missing or damaged."""
    record = read_record(directory)
    if record is None:
        raise UserError(f"{directory / RECORD_FILE} does not exist; {directory} is not a run.")
    status = "stopped" if is_abandoned(directory, record) else record.status
    curves = read_or(directory / METRICS_FILE, pd.read_csv, pd.DataFrame())
    split = read_or(directory / SPLIT_FILE, pd.read_parquet, None)
    return RunEvidence(directory, record, status, curves, split, read_json(directory / TEST_FILE))


def read_runs(parent: Path) -> list[RunEvidence]:
    """The runs directly below a directory by fold and seed; those with a damaged record are passed over."""
    found = []
    for path in sorted(parent.glob(f"*/{RECORD_FILE}")):
        try:
            found.append(read_run(path.parent))
        except UserError as error:
            _log.warning("%s It is passed over.", error)
    return sorted(found, key=lambda run: (run.record.fold, run.record.seed))


def read_cross_validation(directory: Path) -> CvEvidence:
    """A cross-validation's files, and those of its runs."""
    path = directory / RUN_INFOS_FILE
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _EMPTY.items()})
    settings = read_json(directory / "cv.json").get("settings", {})
    table = read_or(path, pd.read_parquet, empty)
    return CvEvidence(
        directory.name, directory, table, settings, read_runs(directory), read_json(directory / LEAKAGE_FILE)
    )


def read_json(path: Path) -> dict[str, Any]:
    """An object of a JSON file; empty where there is none, or one that cannot be read."""
    found: Any = read_or(path, lambda file: json.loads(file.read_bytes()), {})
    return found if isinstance(found, dict) else {}


def read_or(path: Path, read: Callable[[Path], Any], otherwise: _Read) -> Any | _Read:
    """What `read` makes of a file; `otherwise`, with a warning unless it is just not there, where it fails."""
    try:
        return read(path)
    except FileNotFoundError:
        return otherwise
    except (OSError, ValueError) as error:  # ArrowInvalid, ParserError and JSONDecodeError are ValueErrors
        _log.warning("%s cannot be read and is passed over: %s", path, str(error).splitlines()[0])
        return otherwise


_EMPTY = {
    "run_name": "object", "run_id": "object", "fold": "int64", "seed": "int64", "duration": "float64",
    "status": "object", "error": "object", "is_unstable": "bool", "score": "float64",
}  # fmt: skip
