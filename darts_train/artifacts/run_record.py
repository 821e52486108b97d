"""run.json: what a run is, what decided its result, and how it ended.

Written atomically at the start of a run, now and then while it lasts, and at its end. Whoever resumes, lists or
scores runs believes this file and nothing else; `fingerprint` says whether two runs would give the same result.
"""

import math
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from darts_train.base.errors import UserError
from darts_train.base.files import write_text
from darts_train.base.locks import is_held

RECORD_FILE = "run.json"
LOCK_FILE = ".lock"  # held by the process that trains
Status = Literal["running", "finished", "failed", "interrupted", "pruned"]


class RunRecord(BaseModel):
    """One run. Metrics may be NaN or infinite, and survive the file; None is a metric without a value."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")

    format_version: Literal[1] = 1
    run_name: str
    run_id: str
    cv_name: str | None = None
    tune_name: str | None = None
    status: Status
    fingerprint: str = Field(description="Hash of data, split, hyperparameters, training, fold and seed.")
    fold: int
    seed: int
    started: str = Field(description="UTC, ISO 8601.")
    ended: str | None = None
    duration: float = Field(default=0.0, description="Seconds of work, over all resumptions.")
    data_hash: str
    split_hash: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    host: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)
    portions: int = Field(default=1, description="Parts in which a batch was learned, as --auto-batch chose.")
    best_checkpoint: str | None = Field(default=None, description="Relative to the run's directory.")
    best_metrics: dict[str, float | None] = Field(default_factory=dict)
    last_metrics: dict[str, float | None] = Field(default_factory=dict)
    error: str | None = None


def read_record(run_dir: Path) -> RunRecord | None:
    """The record of a run directory, None where there is no run.json.

    Raises UserError where the file is there but cannot be read or says something else.
    """
    path = run_dir / RECORD_FILE
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"{path}: not a run's record; {where}: {first['msg']}.") from None


def numbers(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Metrics of a record as numbers: NaN where one has no value."""
    return {name: math.nan if value is None else value for name, value in metrics.items()}


def write_record(run_dir: Path, record: RunRecord) -> None:
    """Write run.json atomically: after a kill at any moment there is the old record or the new one."""
    write_text(run_dir / RECORD_FILE, record.model_dump_json(indent=2) + "\n")


def is_abandoned(run_dir: Path, record: RunRecord) -> bool:
    """Whether a record says `running` though its process is gone. False where another machine may know better."""
    here = record.host.get("host") == socket.gethostname()
    return record.status == "running" and here and not is_held(run_dir / LOCK_FILE)
