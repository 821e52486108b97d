"""Which runs there are: the artifact directory walked, one row per run.json, whatever state it is in."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from darts_train.artifacts.run_record import RECORD_FILE, RunRecord, is_abandoned, read_record
from darts_train.artifacts.tree import parse_run_directory
from darts_train.base.errors import UserError
from darts_train.base.files import require_directory
from darts_train.options.learning import Artifacts

MONITOR = "val/JaccardIndex"
DEEPEST = 5  # {name}/outer{f}/{cv_name}/{run}: no run lies deeper
NAME_WIDTH = 33
Kind = Literal["run", "cv", "tune"]


@dataclass(frozen=True)
class RunEntry:
    """A run in a listing. What an unreadable record does not tell is None; `iou` is that of the best checkpoint."""

    name: str
    id: str
    kind: Kind
    status: str
    fold: int | None
    seed: int | None
    iou: float | None
    duration: float | None
    directory: Path


@dataclass(frozen=True)
class RunListing:
    """All runs of an artifact directory, in the order of their directories."""

    artifact_dir: Path
    rows: tuple[RunEntry, ...]

    def summary(self) -> str:
        """A table of at most 80 columns."""
        if not self.rows:
            return f"no runs in {self.artifact_dir}"
        head = f"{'name':{NAME_WIDTH}} {'id':8} {'kind':4} {'status':11} {'fold':>4} {'seed':>4} {'IoU':>5} {'time':>4}"
        return "\n".join([head, *(_line(row) for row in self.rows), f"{len(self.rows)} runs in {self.artifact_dir}"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values; NaN becomes None, paths text."""
        rows = [{**asdict(row), "directory": str(row.directory), "iou": _finite(row.iou)} for row in self.rows]
        return {"artifact_dir": str(self.artifact_dir), "runs": rows}


def list_runs(artifacts: Artifacts) -> RunListing:
    """List the runs below `artifact_dir`: single ones, those of cross-validations, of tunes and of sweeps.

    A record that cannot be read is a row with status `unreadable`; a run whose process was killed is `stopped`.
    Raises UserError where the directory is missing.
    """
    root = require_directory(artifacts.artifact_dir, "--artifact-dir")
    return RunListing(root, tuple(_entry(root, directory) for directory in _run_directories(root, 0)))


def _run_directories(directory: Path, depth: int) -> Iterator[Path]:
    try:
        children = sorted(path for path in directory.iterdir() if path.is_dir())
    except OSError:  # not ours to read, or gone since
        return
    for child in children:
        if (child / RECORD_FILE).exists():
            yield child
        elif depth < DEEPEST - 1:
            yield from _run_directories(child, depth + 1)


def _entry(root: Path, directory: Path) -> RunEntry:
    try:
        record = read_record(directory)
    except UserError:
        record = None
    name, run_id = parse_run_directory(directory) or (directory.name, "")
    kind = _kind(root, directory, record)
    if record is None:
        return RunEntry(name, run_id, kind, "unreadable", None, None, None, None, directory)
    iou = record.best_metrics.get(MONITOR)
    status = "stopped" if is_abandoned(directory, record) else record.status
    return RunEntry(
        record.run_name, record.run_id, kind, status, record.fold, record.seed, iou, record.duration, directory
    )


def _kind(root: Path, directory: Path, record: RunRecord | None) -> Kind:
    """What a run is a part of, by its record, or else by its place."""
    if record is not None:
        return "tune" if record.tune_name else "cv" if record.cv_name else "run"
    top = directory.relative_to(root).parts[0]
    return {"_runs": "run", "_cross_validations": "cv"}.get(top, "tune")  # type: ignore[return-value]


def _line(row: RunEntry) -> str:
    name = row.name if len(row.name) <= NAME_WIDTH else f"…{row.name[1 - NAME_WIDTH :]}"
    fold, seed = ("-" if value is None else str(value) for value in (row.fold, row.seed))
    iou = "-" if row.iou is None else f"{row.iou:.3f}"
    return (
        f"{name:{NAME_WIDTH}} {row.id:8.8} {row.kind:4} {row.status:11} {fold:>4.4} {seed:>4.4} {iou:>5.5} "
        f"{_duration(row.duration):>4}"
    )


def _duration(seconds: float | None) -> str:
    """Seconds as a text of at most four characters: 42s, 17m, 3h, 12d."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * size:
            return f"{min(seconds / size, 999):.0f}{unit}"
    return f"{seconds:.0f}s"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
