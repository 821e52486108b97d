"""The best configuration once more: trained on all training data, then tested on the test part."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from darts_train.artifacts import names, tree
from darts_train.artifacts.run_record import read_record
from darts_train.base.errors import UserError
from darts_train.experiments.cross_validation import Execute
from darts_train.experiments.settings import Settings
from darts_train.options.learning import Artifacts, Device, Test, Tracking

if TYPE_CHECKING:
    from darts_train.experiments.run import RunResult, TestResult

SEED, FOLD = 42, 0


def retrain_and_test(
    tune_name: str,
    artifact_dir: Path,
    settings: Settings,
    device: Device,
    tracking: Tracking,
    *,
    folder: str | None = None,
    execute: Execute | None = None,
    test: Callable[..., "TestResult"] | None = None,
) -> tuple["RunResult", "TestResult"]:
    """Train `settings` without folds, under `{artifact_dir}/{tune_name}/_runs`, and test the result.

    `folder` stands in place of the name in the path; `execute` and `test` for `execute_run` and `test_smp` in tests.

    Called again with the same settings it goes on, or takes what is finished; with others (a longer search found a
    better configuration) it is another run beside the first. Raises UserError where training fails.
    """
    from darts_train.experiments.beside_baseline import with_baseline
    from darts_train.experiments.run import execute_run, test_smp
    from darts_train.training.module import TrainingError

    whole = dataclasses.replace(settings, split=dataclasses.replace(settings.split, fold_method=None))
    place = _place(tune_name, artifact_dir, whole, device, folder or tune_name)
    options = (whole.data, whole.split, whole.hyperparameters, whole.training)
    try:
        run = cast("RunResult", (execute or execute_run)(place, *options, device, tracking, FOLD, SEED))
    except TrainingError as error:
        raise UserError(f"run {place.run_name}-{place.run_id} failed: {error}") from error
    tested_run = Test(
        run_name=place.run_name,
        run_id=place.run_id,
        batch_size=whole.hyperparameters.batch_size,
        num_workers=whole.training.num_workers,
    )
    where = Artifacts(artifact_dir=artifact_dir)
    tested = (test or test_smp)(
        test=tested_run, data=whole.data, split=whole.split, artifacts=where, device=device, tracking=tracking
    )
    return (with_baseline(run, artifact_dir) if execute is None else run), tested


def _place(tune_name: str, artifact_dir: Path, settings: Settings, device: Device, folder: str) -> tree.RunPlace:
    """The place of an earlier run that would give the same result, or a new one."""
    from darts_train.experiments.one_run.settings import prepare_run, run_fingerprint

    prepared = prepare_run(settings.data, settings.split, settings.hyperparameters, device, FOLD)
    fingerprint = run_fingerprint(prepared, settings.hyperparameters, settings.training, FOLD, SEED)
    name = names.retrain_name(tune_name)
    for path in sorted((tree.tune_dir(artifact_dir, folder) / tree.RUNS).glob("*")):
        parsed = tree.parse_run_directory(path)
        record = read_record(path) if parsed and parsed[0] == name else None
        if parsed and record and record.fingerprint == fingerprint:
            return tree.RunPlace(path, name, parsed[1], None, tune_name)
    run_id = names.new_run_id()
    return tree.RunPlace(tree.retrain_dir(artifact_dir, folder, name, run_id), name, run_id, None, tune_name)
