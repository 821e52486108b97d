"""Which runs there are: the artifact directory walked, one row per run.json, whatever state it is in."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from darts_train.artifacts.baselines import BaselineRecord, matching_baseline, read_baselines
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
    """A run in a listing. What an unreadable record does not tell is None; `iou` is that of the best checkpoint.

    `baseline_iou`: of the best pixel baseline of the same set, split, fold and bands; None where there is none.
    """

    name: str
    id: str
    kind: Kind
    status: str
    fold: int | None
    seed: int | None
    iou: float | None
    duration: float | None
    directory: Path
    baseline_iou: float | None = None


@dataclass(frozen=True)
class RunListing:
    """All runs of an artifact directory, in the order of their directories."""

    artifact_dir: Path
    rows: tuple[RunEntry, ...]

    def summary(self) -> str:
        """A table of at most 80 columns; the one of baselines is there only where a run has one."""
        if not self.rows:
            return f"no runs in {self.artifact_dir}"
        compared = any(row.baseline_iou is not None for row in self.rows)
        width = NAME_WIDTH - 6 * compared
        head = f"{'name':{width}} {'id':8} {'kind':4} {'status':11} {'fold':>4} {'seed':>4} {'IoU':>5} "
        head += f"{'base':>5} {'time':>4}" if compared else f"{'time':>4}"
        said = f"{len(self.rows)} runs in {self.artifact_dir}"
        said += "; base: IoU of the pixel baseline on the same patches" if compared else ""
        return "\n".join([head, *(_line(row, width, compared) for row in self.rows), said])

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
    baselines = read_baselines(root)
    return RunListing(root, tuple(_entry(root, directory, baselines) for directory in _run_directories(root, 0)))


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


def _entry(root: Path, directory: Path, baselines: Sequence[BaselineRecord]) -> RunEntry:
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
    baseline = matching_baseline(baselines, record)
    return RunEntry(
        record.run_name, record.run_id, kind, status, record.fold, record.seed, iou, record.duration, directory,
        baseline.iou("val") if baseline else None,
    )  # fmt: skip


def _kind(root: Path, directory: Path, record: RunRecord | None) -> Kind:
    """What a run is a part of, by its record, or else by its place."""
    if record is not None:
        return "tune" if record.tune_name else "cv" if record.cv_name else "run"
    top = directory.relative_to(root).parts[0]
    return {"_runs": "run", "_cross_validations": "cv"}.get(top, "tune")  # type: ignore[return-value]


def _line(row: RunEntry, width: int, compared: bool) -> str:
    name = row.name if len(row.name) <= width else f"…{row.name[1 - width :]}"
    fold, seed = ("-" if value is None else str(value) for value in (row.fold, row.seed))
    scores = (row.iou, row.baseline_iou) if compared else (row.iou,)
    ious = " ".join(f"{'-' if score is None else f'{score:.3f}':>5.5}" for score in scores)
    return (
        f"{name:{width}} {row.id:8.8} {row.kind:4} {row.status:11} {fold:>4.4} {seed:>4.4} {ious} "
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
