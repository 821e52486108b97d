"""Where things lie in the artifact directory. Paths only: nothing here is created.

{artifact_dir}/_runs/{run_name}-{run_id}/
{artifact_dir}/_cross_validations/{cv_name}/{run_name}-{run_id}/
{artifact_dir}/{tune_name}/{cv_name}/{run_name}-{run_id}/
{artifact_dir}/{tune_name}/_runs/{tune_name}-retrain-{run_id}/
{artifact_dir}/{nested_name}/outer{f}/{cv_name}/{run_name}-{run_id}/          (and outer{f}/_runs, random{f}/_runs)
"""

import re
from dataclasses import dataclass
from pathlib import Path

from darts_train.artifacts.names import ID_ALPHABET, ID_LENGTH

RUNS = "_runs"
CROSS_VALIDATIONS = "_cross_validations"
RUN_DIRECTORY = re.compile(rf"(?P<name>.+)-(?P<id>[{ID_ALPHABET}]{{{ID_LENGTH}}})")


@dataclass(frozen=True)
class RunPlace:
    """Where a run lies, what it is called, and what it is a part of."""

    directory: Path
    run_name: str
    run_id: str
    cv_name: str | None = None
    tune_name: str | None = None


def run_directory(parent: Path, run_name: str, run_id: str) -> Path:
    """`parent/{run_name}-{run_id}`."""
    return parent / f"{run_name}-{run_id}"


def single_run_dir(artifact_dir: Path, run_name: str, run_id: str) -> Path:
    """Directory of a run that stands alone."""
    return run_directory(artifact_dir / RUNS, run_name, run_id)


def cv_dir(artifact_dir: Path, cv_name: str, tune_name: str | None = None) -> Path:
    """Directory of a cross-validation, alone or of a tune."""
    return (artifact_dir / CROSS_VALIDATIONS if tune_name is None else artifact_dir / tune_name) / cv_name


def tune_dir(artifact_dir: Path, tune_name: str) -> Path:
    """Directory of a tune or of a sweep (whose name is its id)."""
    return artifact_dir / tune_name


def retrain_dir(artifact_dir: Path, tune_name: str, run_name: str, run_id: str) -> Path:
    """Directory of the run that trains a tune's best configuration again."""
    return run_directory(tune_dir(artifact_dir, tune_name) / RUNS, run_name, run_id)


def outer_name(fold: int) -> str:
    """Name of the directory of an outer fold of a nested cross-validation, and of the end of its search's name."""
    return f"outer{fold}"


def random_name(fold: int) -> str:
    """Likewise of a fold that was drawn patch by patch, for comparison."""
    return f"random{fold}"


def parse_run_directory(directory: Path) -> tuple[str, str] | None:
    """(run_name, run_id) of a run's directory, None where the name is not of that form."""
    match = RUN_DIRECTORY.fullmatch(directory.name)
    return (match["name"], match["id"]) if match else None


def find_run(parent: Path, run_name: str) -> Path | None:
    """The directory of the run called `run_name` directly below `parent`, None where there is none.

    Should there be several (copied by hand), the one whose run.json changed last; directories
    without one, left by a run killed at its very start, come after all others.
    """
    if not parent.is_dir():
        return None
    found = [path for path in parent.iterdir() if (parse_run_directory(path) or ("",))[0] == run_name and path.is_dir()]
    return max(found, key=_last_change, default=None)


def _last_change(directory: Path) -> tuple[float, str]:
    record = directory / "run.json"
    return (record.stat().st_mtime if record.exists() else 0.0, directory.name)
