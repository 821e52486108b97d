"""One run: a network trained on one fold with one seed, in one directory that says everything about it.

    {run_name}-{run_id}/
      run.json          status, fingerprint, settings, versions, best and last metrics
      split.parquet     which patch trained, validated, tested
      metrics.csv  hparams.yaml  figures/
      checkpoints/      best.ckpt, last.ckpt, the top k

A run may be killed at any moment and called again: finished, it is returned as it is; unfinished, it goes on from
last.ckpt and ends bit for bit (on the CPU) where it would have ended.
"""

from pathlib import Path

from darts_train.artifacts.names import check_name, new_run_id, random_name
from darts_train.artifacts.run_record import LOCK_FILE, read_record
from darts_train.artifacts.tree import RUNS, RunPlace, parse_run_directory, single_run_dir
from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.base.locks import exclusive_lock
from darts_train.base.log import logger
from darts_train.dataset.sample_weights import sample_weights
from darts_train.dataset.splitting.leakage import warn_split_leakage
from darts_train.experiments.beside_baseline import with_baseline
from darts_train.experiments.evaluate_run import TestResult, test_smp
from darts_train.experiments.one_run.augmentation_file import with_read_augmentations
from darts_train.experiments.one_run.crew import Crew
from darts_train.experiments.one_run.job import RunJob, RunResult, follow_run, go_on_or_begin
from darts_train.experiments.one_run.settings import (
    check_reader,
    check_recomputing,
    check_start,
    plain_settings,
    prepare_run,
    run_fingerprint,
    validate_run_settings,
)
from darts_train.experiments.one_run.world import check_shares, choose_devices
from darts_train.options.learning import (
    Artifacts,
    Data,
    Device,
    Devices,
    Hyperparameters,
    Run,
    Split,
    Tracking,
    Training,
)
from darts_train.training.hardware.compiling import check_compiling
from darts_train.training.hardware.devices import resolve_precision
from darts_train.training.loading.data_module import check_cache
from darts_train.training.losses.build import check_length
from darts_train.training.module import TrainingError
from darts_train.training.stopping.pruned import OnValidation
from darts_train.training.tracking.check import check_tracking

__all__ = ["RunPlace", "RunResult", "TestResult", "execute_run", "test_smp", "train_smp", "validate_run_settings"]

_log = logger("experiments")


def execute_run(
    place: RunPlace,
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    device: Device,
    tracking: Tracking,
    fold: int,
    seed: int,
    *,
    continue_from: Path | None = None,
    weights_from: Path | None = None,
    crew: Crew | None = None,
    on_validation: OnValidation | None = None,
) -> RunResult:
    """Train in `place`, go on there, or return what is finished there.

    `on_validation` is asked after every validation whether to go on.

    Raises:
        UserError: settings that cannot be (see `prepare_run`), another run in the same directory, or another process
            at work in it; nothing was written then. Also damaged data, met while training.
        TrainingError: the run diverged or ran out of memory; run.json says `failed`, and why.
        PrunedError: `on_validation` said to stop; run.json says `pruned`, and why.
        KeyboardInterrupt: Ctrl+C; run.json says `interrupted`, and the run can go on.
    """
    check_tracking(tracking)
    hyperparameters = with_read_augmentations(hyperparameters)
    prepared = prepare_run(data, split, hyperparameters, device, fold)
    resolve_precision(training.precision, prepared.device)
    check_compiling(training, prepared.device)
    check_length(hyperparameters, training.max_epochs)
    if training.gradient_checkpointing:
        check_recomputing(hyperparameters)
    count, here = (crew.world.count, crew.world.devices) if crew else (1, 1)
    check_cache(training.kept_in, prepared.data, prepared.indices, prepared.device, here)
    check_reader(hyperparameters, training.kept_in, prepared.device)
    check_shares(prepared.indices, training.samples_per_epoch, count)
    if crew and training.auto_batch:
        raise UserError("--auto-batch is for one device; with several give a --batch-size that fits.")
    sample_weights(prepared.data.metadata, prepared.indices.train, training.sample_weights, training.balance)
    start = check_start(prepared, training, continue_from, weights_from)
    fingerprint = run_fingerprint(prepared, hyperparameters, training, fold, seed, start, count)
    groups = {"data": data, "split": split, "hyperparameters": hyperparameters, "training": training, "device": device}
    settings = plain_settings(groups) | {"start": str(start) if start else None}
    require_writable(place.directory, "--artifact-dir")
    job = RunJob(
        place, prepared, hyperparameters, training, tracking, settings, fold, seed, continue_from, weights_from,
        fingerprint, on_validation,
    )  # fmt: skip
    with exclusive_lock(place.directory / LOCK_FILE, f"run {place.directory.name}"):
        return go_on_or_begin(job, crew)


def train_smp(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    run: Run,
    artifacts: Artifacts,
    device: Device,
    tracking: Tracking,
    devices: Devices | None = None,
) -> RunResult:
    """Train one network on one fold, under `{artifact_dir}/_runs/{run_name}-{run_id}`.

    A name whose run is unfinished and has the same settings goes on; otherwise the run gets a new id. Raises UserError
    as `execute_run`, and where training fails for its settings; SystemExit where this process is one of several of a
    run, and another one has its result.
    """
    device, world = choose_devices(devices or Devices(), device)
    groups = (data, split, hyperparameters, training, run, artifacts, device, tracking)
    if world is None:
        return _train_smp(*groups, None)
    if world.rank:
        try:
            follow_run(world)
        except TrainingError as error:
            raise UserError(f"process {world.rank} of the run failed: {error}") from error
        raise SystemExit(0)
    with Crew(world) as crew:
        return _train_smp(*groups, crew)


def _train_smp(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    run: Run,
    artifacts: Artifacts,
    device: Device,
    tracking: Tracking,
    crew: Crew | None,
) -> RunResult:
    hyperparameters = with_read_augmentations(hyperparameters)
    prepared = prepare_run(data, split, hyperparameters, device, run.fold)
    start = check_start(prepared, training, run.continue_from_checkpoint, run.weights_from_checkpoint)
    fingerprint = run_fingerprint(
        prepared, hyperparameters, training, run.fold, run.random_seed, start, crew.world.count if crew else 1
    )
    require_writable(artifacts.artifact_dir, "--artifact-dir")
    place = find_place(artifacts.artifact_dir, run.run_name, fingerprint)
    _log.info("run %s-%s: %s", place.run_name, place.run_id, prepared.indices.summary())
    warn_split_leakage(prepared.data.metadata, prepared.indices, split, prepared.data.config.patch_size)
    try:
        result = execute_run(
            place, data, split, hyperparameters, training, device, tracking, run.fold, run.random_seed,
            continue_from=run.continue_from_checkpoint, weights_from=run.weights_from_checkpoint, crew=crew,
        )  # fmt: skip
    except TrainingError as error:
        raise UserError(f"run {place.run_name}-{place.run_id} failed: {error}") from error
    return with_baseline(result, artifacts.artifact_dir)


def find_place(artifact_dir: Path, run_name: str | None, fingerprint: str) -> RunPlace:
    """The unfinished run of this name and fingerprint, or a place for a new one. Nothing is created.

    Raises UserError for a name that cannot name a directory.
    """
    runs = artifact_dir / RUNS
    earlier = [(path, *parsed) for path in sorted(runs.glob("*")) if (parsed := parse_run_directory(path))]
    if run_name is None:
        run_name = random_name({name for _, name, _ in earlier})
    check_name(run_name, "--run-name")
    for path, name, run_id in earlier:
        record = read_record(path) if name == run_name else None
        if record and record.status != "finished" and record.fingerprint == fingerprint:
            return RunPlace(path, name, run_id)
    run_id = new_run_id()
    return RunPlace(single_run_dir(artifact_dir, run_name, run_id), run_name, run_id)
