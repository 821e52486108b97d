"""The pixel baseline beside networks: looked up when a command ends, since either may have been made first."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from darts_train.artifacts.baselines import Beside, beside_baselines, matching_baseline, read_baselines
from darts_train.artifacts.run_record import read_record
from darts_train.artifacts.tree import cv_dir, parse_run_directory
from darts_train.base.errors import UserError

if TYPE_CHECKING:
    from darts_train.artifacts.run_record import RunRecord
    from darts_train.experiments.one_run.job import RunResult


def with_baseline(result: "RunResult", artifact_dir: Path) -> "RunResult":
    """A run's result with the baseline of its set, split, fold and bands, where there is one."""
    record = read_record(result.directory)
    found = matching_baseline(read_baselines(artifact_dir), record) if record else None
    return dataclasses.replace(result, baseline=found)


def beside_cross_validation(artifact_dir: Path, cv_name: str | None, tune_name: str | None = None) -> Beside | None:
    """The runs of a cross-validation beside the baselines of their folds; None without one.

    Of runs that lie on another machine nothing is known, and None is given where there are no others.
    """
    baselines = read_baselines(artifact_dir)
    if not baselines or cv_name is None:
        return None
    directory = cv_dir(artifact_dir, cv_name, tune_name)
    paths = sorted(directory.iterdir()) if directory.is_dir() else []
    records = [_record(path) for path in paths if parse_run_directory(path)]
    return beside_baselines(baselines, [record for record in records if record is not None])


def _record(directory: Path) -> "RunRecord | None":
    try:
        return read_record(directory)
    except UserError:  # a damaged record is no reason to keep a result back
        return None
