"""One run in its directory: begin, go on, or find it finished; and keep run.json true whatever happens."""

import logging
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from darts_train.artifacts.baselines import BaselineRecord
from darts_train.artifacts.run_record import RunRecord, numbers, read_record, write_record
from darts_train.artifacts.tree import RunPlace
from darts_train.base.disk_room import told_when_full
from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path, sweep_leftovers
from darts_train.base.log import ROOT, logger
from darts_train.base.provenance import host, now, package_versions
from darts_train.experiments.one_run.crew import Crew, follow
from darts_train.experiments.one_run.network import fitting_portions, fitting_size, make_module
from darts_train.experiments.one_run.settings import PreparedRun, make_reader
from darts_train.metrics.names import MONITOR
from darts_train.options.learning import Hyperparameters, Tracking, Training
from darts_train.training.checkpoints.checkpoint import BEST, KeepCheckpoints, newest_whole
from darts_train.training.checkpoints.weights import load_weights
from darts_train.training.fit import fit
from darts_train.training.hardware.memory import OutOfMemory, advice, forget, halves
from darts_train.training.hardware.portions import Portions
from darts_train.training.hardware.ranks import World
from darts_train.training.loading.data_module import TrainDataModule
from darts_train.training.losses.build import training_pixels, with_numbers
from darts_train.training.pictures.of_run import RunFigures
from darts_train.training.pictures.painter import Painter
from darts_train.training.stopping.judged import ShowsValidations
from darts_train.training.stopping.pruned import OnValidation, PrunedError
from darts_train.training.tracking.services import SendCheckpoints, ServiceTracker
from darts_train.training.tracking.trackers import FileTracker, make_services

CHECKPOINTS, SPLIT_FILE = "checkpoints", "split.parquet"
Resumption = tuple[Path, tuple[int, int]]  # the checkpoint from which a run goes on, and epochs and steps done there
SHOWN = (MONITOR, "val/F1Score", "val/Precision", "val/Recall", "val/loss")
_log = logger("experiments")


@dataclass(frozen=True)
class RunResult:
    """What a run gave. `metrics` are those of the best checkpoint (by val/JaccardIndex), `duration` is in seconds.

    `resumed`: an earlier process had done a part of the work, or all of it. `baseline`: the best pixel baseline of the
    same set, split, fold and bands; None where there is none, and for runs of a cross-validation, which has its own.
    """

    run_name: str
    run_id: str
    directory: Path
    status: str
    best_checkpoint: Path
    metrics: dict[str, float]
    last_metrics: dict[str, float]
    duration: float
    resumed: bool
    baseline: BaselineRecord | None = None

    def summary(self) -> str:
        """A few lines for the terminal."""
        shown = [f"{name} {self.metrics[name]:.4f}" for name in SHOWN if name in self.metrics]
        lines = [
            f"run {self.run_name}-{self.run_id} {self.status} in {self.duration:.0f} s",
            f"best checkpoint: {self.best_checkpoint}",
            ", ".join(shown),
        ]
        if self.baseline and MONITOR in self.metrics:
            lines.append(self.baseline.beside(self.metrics[MONITOR], "val"))
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class RunJob:
    """A run whose settings were checked."""

    place: RunPlace
    prepared: PreparedRun
    hyperparameters: Hyperparameters
    training: Training
    tracking: Tracking
    settings: dict[str, object]
    fold: int
    seed: int
    continue_from: Path | None
    weights_from: Path | None
    fingerprint: str
    on_validation: OnValidation | None = None  # who watches, and may stop it

    @property
    def checkpoints(self) -> Path:
        """The directory of its checkpoints."""
        return self.place.directory / CHECKPOINTS


def go_on_or_begin(job: RunJob, crew: Crew | None = None) -> RunResult:
    """Return what is finished, go on from last.ckpt, or begin. The caller holds the run's lock.

    `crew`: the processes that train together, where there are several.

    Raises UserError where the directory holds a run with another fingerprint, NoRoomError for a full disk, and whatever
    ends training.
    """
    with told_when_full(job.place.directory):
        return _go_on_or_begin(job, crew)


def _go_on_or_begin(job: RunJob, crew: Crew | None) -> RunResult:
    earlier = read_record(job.place.directory)
    if earlier and earlier.fingerprint != job.fingerprint:
        raise UserError(
            f"{job.place.directory} holds a run with other settings or other data; choose another name, or remove it."
        )
    if earlier and earlier.status == "finished":
        return _result(job, earlier, resumed=True)
    last = newest_whole(job.checkpoints) if earlier else None
    sweep_leftovers(job.place.directory)
    sweep_leftovers(job.checkpoints)
    if last is None:
        for path in job.checkpoints.glob("*.ckpt"):  # of a run that is not this one
            path.unlink()
    record = RunRecord(
        run_name=job.place.run_name,
        run_id=job.place.run_id,
        cv_name=job.place.cv_name,
        tune_name=job.place.tune_name,
        status="running",
        fingerprint=job.fingerprint,
        fold=job.fold,
        seed=job.seed,
        started=earlier.started if earlier and last else now(),
        data_hash=job.prepared.data.data_hash,
        split_hash=job.prepared.indices.hash,
        versions=package_versions(),
        host=host() | {"device": str(job.prepared.device)} | _company(crew),
        settings=job.settings,
        portions=earlier.portions if earlier and last else 1,
    )
    write_record(job.place.directory, record)
    with atomic_path(job.place.directory / SPLIT_FILE) as temporary:
        job.prepared.indices.table(job.prepared.data.metadata).to_parquet(temporary)
    return _train(job, record, last, crew)


def _company(crew: Crew | None) -> dict[str, str]:
    return {"processes": str(crew.world.count)} if crew else {}


def follow_run(world: World) -> None:
    """Compute as one of the processes of a run whose rank 0 is another; nothing is written.

    Returns when the run ends, and raises what ends it.
    """
    logging.getLogger(ROOT).setLevel(logging.CRITICAL + 1)  # rank 0 says it
    follow(world, _work)


def _work(task: tuple[RunJob, RunRecord, Resumption | None], world: World) -> None:
    job, record, last = task
    prepared = replace(job.prepared, device=world.device)
    job = replace(job, prepared=prepared)
    _fit(job, _Attempt(job, record, last), world)


def _train(job: RunJob, record: RunRecord, last: Resumption | None, crew: Crew | None) -> RunResult:
    """Fit, and keep run.json true whatever happens. A full disk takes no word of it; the run can go on all the same."""
    attempt = _Attempt(job, record, last)

    def close(error: BaseException) -> None:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        reason = None if stopped else (str(error).strip().splitlines() or [type(error).__name__])[0]
        status = "pruned" if isinstance(error, PrunedError) else "interrupted" if stopped else "failed"
        with suppress(OSError):
            _close(job, attempt.record, attempt.keeper, {"status": status, "error": reason})

    try:
        with told_when_full(job.place.directory), crew.at_work((job, record, last), close) if crew else nullcontext():
            _fit_in_memory(attempt, crew.world if crew else None)
    except BaseException as error:
        close(error)
        raise
    closed = _close(job, attempt.record, attempt.keeper, {"status": "finished"})
    return _result(job, closed, resumed=last is not None)


class _Attempt:
    """Where the training of a run stands: each attempt begins with a memory of its own, from the last checkpoint."""

    def __init__(self, job: RunJob, record: RunRecord, last: Resumption | None) -> None:
        self.job, self.record, self.last = job, record, last
        self.keeper = self._new_keeper()

    def _new_keeper(self) -> KeepCheckpoints:
        job, training = self.job, self.job.training
        return KeepCheckpoints(job.checkpoints, job.place.run_id, training.save_top_k, training.early_stopping_patience)

    @cached_property
    def h(self) -> Hyperparameters:
        """The hyperparameters, with numbers for `auto`."""
        prepared = self.job.prepared
        return with_numbers(self.job.hyperparameters, lambda: training_pixels(prepared.data, prepared.indices.train))

    @property
    def portions(self) -> Portions:
        """In what the batches are learned."""
        return Portions(self.job.hyperparameters.batch_size, self.record.portions)

    def begin_anew(self, portions: Portions) -> None:
        """The next attempt, with smaller portions, which run.json knows from here on."""
        self.record = self.record.model_copy(update={"portions": portions.count})
        write_record(self.job.place.directory, self.record)
        self.last, self.keeper = newest_whole(self.job.checkpoints), self._new_keeper()


def _fit_in_memory(attempt: _Attempt, world: World | None) -> None:
    """Fit; where memory does not suffice, in portions that fit (`--auto-batch`), from the last checkpoint on.

    Processes of a `world` would have to agree on their portions, which they do not.

    Raises TrainingError, which names a batch size that would fit, where portions are not wanted, and where none fits.
    """
    job, at_start = attempt.job, attempt.portions
    if job.training.auto_batch and at_start.count == 1 and job.prepared.device.type == "cuda":
        _take(attempt, at_start.and_smaller())
    while True:
        try:
            return _fit(job, attempt, world)
        except OutOfMemory as error:
            _log.debug("%s", error.__cause__)
            forget(error)
        # Only here, when the error is gone, is the memory that it held on to.
        if not job.training.auto_batch:
            size = attempt.portions.size
            raise OutOfMemory(advice(size, fitting_size(job.prepared, attempt.h, job.training, halves(size))))
        _take(attempt, list(attempt.portions.and_smaller())[1:])


def _take(attempt: _Attempt, tried: Iterable[Portions]) -> None:
    """Go on with the first portions that fit. Raises TrainingError where none do."""
    job, before = attempt.job, attempt.portions
    portions = fitting_portions(job.prepared, attempt.h, job.training, tried)
    if portions is None:
        raise OutOfMemory(advice(before.size, None))
    if portions != before:
        line = "memory is too small for %d patches at once: batches of %d are learned in %d portions of %d."
        _log.warning(line, before.size, portions.batch_size, portions.count, portions.size)
        attempt.begin_anew(portions)


def _fit(job: RunJob, attempt: _Attempt, world: World | None) -> None:
    keeper, last, portions = attempt.keeper, attempt.last, attempt.portions
    start, done = last or (job.continue_from, (0, 0))
    replaced = start is not None or job.weights_from is not None
    place, prepared, training = job.place, job.prepared, job.training
    names = {
        "run_name": place.run_name,
        "run_id": place.run_id,
        "cv_name": place.cv_name or "none",
        "tune_name": place.tune_name or "none",
    }
    module = make_module(prepared, attempt.h, training, job.seed, names, not replaced, portions.count)
    if job.weights_from and not last:
        load_weights(module, job.weights_from)
    data = TrainDataModule(
        prepared.data,
        prepared.indices,
        batch_size=portions.size,
        portions=portions.count,
        seed=job.seed,
        num_workers=training.num_workers,
        processes=world.devices if world else 1,
        cache=training.kept_in,
        device=prepared.device,
        sample_weights=training.sample_weights,
        balance=training.balance,
        samples_per_epoch=training.samples_per_epoch,
        reader=make_reader(attempt.h, prepared, job.seed),
    )
    if world and world.rank:
        return fit(module, data, training, prepared.device, keeper, [], [], start, world)
    if data.weights is not None:
        _log.info("%s", data.weights.words)
    files = FileTracker(place.directory, prepared.data.config.classes, *done)
    tags = (prepared.data.root.name, *(name for name in (place.cv_name, place.tune_name) if name))
    services = make_services(place.directory, job.tracking, names, tags)
    trackers: list[FileTracker | ServiceTracker] = [files, *services]
    sender = SendCheckpoints(services, job.checkpoints, job.tracking.log_model)
    painter = Painter(trackers)
    figures = RunFigures(
        place.directory, painter, job.fold, prepared.indices, training.plot_every_n_val_epochs,
        training.check_val_every_n_epoch,
    )  # fmt: skip
    try:
        watching = [ShowsValidations(job.on_validation)] if job.on_validation else []
        callbacks = [figures, sender, *watching]
        fit(module, data, training, prepared.device, keeper, trackers, callbacks, start, world)
    finally:
        painter.close(wait=False)  # a run that came to its end has waited for its pictures


def _close(job: RunJob, record: RunRecord, keeper: KeepCheckpoints, changes: dict[str, object]) -> RunRecord:
    best = job.checkpoints / BEST
    found = {
        "ended": now(),
        "duration": keeper.seconds,
        "best_checkpoint": f"{CHECKPOINTS}/{BEST}" if best.is_file() else None,
        "best_metrics": keeper.best_metrics,
        "last_metrics": keeper.last_metrics,
    }
    closed = record.model_copy(update=found | changes)
    write_record(job.place.directory, closed)
    return closed


def _result(job: RunJob, record: RunRecord, resumed: bool) -> RunResult:
    return RunResult(
        run_name=record.run_name,
        run_id=record.run_id,
        directory=job.place.directory,
        status=record.status,
        best_checkpoint=job.place.directory / (record.best_checkpoint or f"{CHECKPOINTS}/{BEST}"),
        metrics=numbers(record.best_metrics),
        last_metrics=numbers(record.last_metrics),
        duration=record.duration,
        resumed=resumed,
    )
