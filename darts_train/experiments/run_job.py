"""One run in its directory: begin, go on, or find it finished; and keep run.json true whatever happens."""

import logging
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from darts_train.artifacts.run_record import RunRecord, read_record, write_record
from darts_train.artifacts.tree import RunPlace
from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path, sweep_leftovers
from darts_train.base.log import ROOT, logger
from darts_train.base.provenance import host, now, package_versions
from darts_train.experiments.crew import Crew, follow
from darts_train.experiments.run_settings import FIRST_HYPERPARAMETERS, PreparedRun
from darts_train.metrics.names import MONITOR
from darts_train.options.learning import Hyperparameters, Tracking, Training
from darts_train.training.checkpoint import BEST, LAST, KeepCheckpoints, progress, read_checkpoint
from darts_train.training.data_module import TrainDataModule
from darts_train.training.fit import fit
from darts_train.training.losses_build import plain_recipe, training_pixels, with_numbers
from darts_train.training.module import SegmentationModule
from darts_train.training.painter import Painter
from darts_train.training.ranks import World
from darts_train.training.recompute import recompute_blocks
from darts_train.training.run_figures import RunFigures
from darts_train.training.services import SendCheckpoints, ServiceTracker
from darts_train.training.trackers import FileTracker, make_services
from darts_train.training.weights import load_weights

CHECKPOINTS, SPLIT_FILE = "checkpoints", "split.parquet"
SHOWN = (MONITOR, "val/F1Score", "val/Precision", "val/Recall", "val/loss")
_log = logger("experiments")


@dataclass(frozen=True)
class RunResult:
    """What a run gave. `metrics` are those of the best checkpoint (by val/JaccardIndex), `duration` is in seconds.

    `resumed`: an earlier process had done a part of the work, or all of it.
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

    def summary(self) -> str:
        """A few lines for the terminal."""
        shown = [f"{name} {self.metrics[name]:.4f}" for name in SHOWN if name in self.metrics]
        return (
            f"run {self.run_name}-{self.run_id} {self.status} in {self.duration:.0f} s\n"
            f"best checkpoint: {self.best_checkpoint}\n{', '.join(shown)}"
        )


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

    @property
    def checkpoints(self) -> Path:
        """The directory of its checkpoints."""
        return self.place.directory / CHECKPOINTS


def go_on_or_begin(job: RunJob, crew: Crew | None = None) -> RunResult:
    """Return what is finished, go on from last.ckpt, or begin. The caller holds the run's lock.

    `crew`: the processes that train together, where there are several.

    Raises UserError where the directory holds a run with another fingerprint, and whatever ends training.
    """
    earlier = read_record(job.place.directory)
    if earlier and earlier.fingerprint != job.fingerprint:
        raise UserError(
            f"{job.place.directory} holds a run with other settings or other data; choose another name, or remove it."
        )
    if earlier and earlier.status == "finished":
        return _result(job, earlier, resumed=True)
    last = _whole_last_checkpoint(job) if earlier else None
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


def _work(task: tuple[RunJob, Path | None], world: World) -> None:
    job, last = task
    prepared = replace(job.prepared, device=world.device)
    _fit(replace(job, prepared=prepared), _keeper(job), last, world)


def _keeper(job: RunJob) -> KeepCheckpoints:
    return KeepCheckpoints(
        job.checkpoints, job.place.run_id, job.training.save_top_k, job.training.early_stopping_patience
    )


def _train(job: RunJob, record: RunRecord, last: Path | None, crew: Crew | None) -> RunResult:
    """Fit, and keep run.json true whatever happens."""
    keeper = _keeper(job)

    def close(error: BaseException) -> None:
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        reason = None if stopped else (str(error).strip().splitlines() or [type(error).__name__])[0]
        _close(job, record, keeper, {"status": "interrupted" if stopped else "failed", "error": reason})

    try:
        with crew.at_work((job, last), close) if crew else nullcontext():
            _fit(job, keeper, last, crew.world if crew else None)
    except BaseException as error:
        close(error)
        raise
    return _result(job, _close(job, record, keeper, {"status": "finished"}), resumed=last is not None)


def _fit(job: RunJob, keeper: KeepCheckpoints, last: Path | None, world: World | None = None) -> None:
    start = last or job.continue_from
    replaced = start is not None or job.weights_from is not None
    place, prepared, training = job.place, job.prepared, job.training
    names = {
        "run_name": place.run_name,
        "run_id": place.run_id,
        "cv_name": place.cv_name or "none",
        "tune_name": place.tune_name or "none",
    }
    h = with_numbers(job.hyperparameters, lambda: training_pixels(prepared.data, prepared.indices.train))
    module = SegmentationModule(
        prepared.config, h.learning_rate, h.gamma, h.augment, h.focal_loss_alpha, h.focal_loss_gamma,
        random_seed=job.seed, run=names, pretrained=not replaced, recipe=plain_recipe(h, FIRST_HYPERPARAMETERS),
    )  # fmt: skip
    if training.gradient_checkpointing:
        recompute_blocks(module.model, h.model_encoder)
    if job.weights_from and not last:
        load_weights(module, job.weights_from)
    data = TrainDataModule(
        prepared.data,
        prepared.indices,
        batch_size=h.batch_size,
        seed=job.seed,
        num_workers=training.num_workers,
        processes=world.devices if world else 1,
        cache=training.kept_in,
        device=prepared.device,
        sample_weights=training.sample_weights,
        balance=training.balance,
        samples_per_epoch=training.samples_per_epoch,
    )
    if world and world.rank:
        return fit(module, data, training, prepared.device, keeper, [], [], start, world)
    if data.weights is not None:
        _log.info("%s", data.weights.words)
    done = progress(read_checkpoint(last)) if last else (0, 0)
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
        fit(module, data, training, prepared.device, keeper, trackers, [figures, sender], start, world)
    finally:
        painter.close(wait=False)  # a run that came to its end has waited for its pictures


def _whole_last_checkpoint(job: RunJob) -> Path | None:
    """last.ckpt where it can be read. A run's end does not depend on where it is taken up, so a new start is safe."""
    path = job.checkpoints / LAST
    if not path.is_file():
        return None
    try:
        read_checkpoint(path)
    except UserError as error:
        _log.warning("%s The run starts anew.", error)
        return None
    return path


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
        metrics=_numbers(record.best_metrics),
        last_metrics=_numbers(record.last_metrics),
        duration=record.duration,
        resumed=resumed,
    )


def _numbers(metrics: dict[str, float | None]) -> dict[str, float]:
    return {name: float("nan") if value is None else value for name, value in metrics.items()}
