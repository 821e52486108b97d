"""Scenes to train data: every source goes through here.

    for each scene: for each tile: read → compute → mask → cut → filter → encode → stage | commit

A worker has one tile in memory at a time and stages it; this process commits staged tiles in their order, so the set
is the same whoever did the work, and a killed run loses the tiles in work at most.
A scene of which some tiles are committed is computed from its beginning again (its record counts all of
it), but committed only where it stopped.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.executor import core_count, open_executor
from darts_train.base.files import require_writable
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.dataset.journal import Journal
from darts_train.dataset.schema import DONE, LEFT_OUT, SceneRecord, tile_key
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.staging import StagedTile
from darts_train.dataset.writer import TrainDataWriter
from darts_train.options.fields import OptionGroup
from darts_train.options.preprocessing import Output, Parallel
from darts_train.preprocess.cache import TileCache
from darts_train.preprocess.interrupt import deferred_interrupt
from darts_train.preprocess.patching import DROP_REASONS, Recipe, Sample
from darts_train.preprocess.summary import PreprocessSummary
from darts_train.preprocess.tiles import plan_tiles
from darts_train.preprocess.work import TileResult, TileTask, make_tile
from darts_train.raster.patches import Window

_TILES_WORTH_A_PROCESS = 4  # a process takes two seconds to start, a tile about as long
_log = logger("preprocess")


@dataclass(frozen=True)
class Job:
    """What is to be done: usable samples in their order, the records of others, how to cut, what the set is."""

    samples: Sequence[Sample]
    left_out: Sequence[SceneRecord]
    recipe: Recipe
    config: SetConfig
    output: Output
    parallel: Parallel = field(default_factory=Parallel)


@dataclass
class _Count:
    """Running totals of one scene, or of the run."""

    patches: int = 0
    clipped: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    dropped: np.ndarray = field(default_factory=lambda: np.zeros(len(DROP_REASONS), np.int64))

    def add(self, tile: TileResult) -> None:
        self.patches += tile.patches
        self.clipped = self.clipped + tile.clipped if self.clipped.size else tile.clipped.copy()
        self.dropped = self.dropped + tile.dropped


def run(job: Job) -> PreprocessSummary:
    """Write the set, or the missing part of it, and say what it holds.

    A scene that turns out to be damaged half way is recorded as left out, with the patches that were committed, and
    the others go on.

    Raises UserError where no patch is left, the directory has other settings, or the disk takes no more (what was
    committed stays); KeyboardInterrupt after the tile in work when Ctrl-C was pressed.
    """
    if job.output.preprocess_cache is not None:
        require_writable(job.output.preprocess_cache, "--preprocess-cache")
    if job.output.dry_run:
        return _estimate(job)
    if not job.output.append and not job.output.overwrite and Journal(job.output.train_data_dir).exists():
        raise UserError(
            f"{job.output.train_data_dir} holds a set already; --append to add to it, --overwrite to replace."
        )
    with open_executor(1, job.parallel.scheduler):
        pass  # a cluster that does not answer is said before the directory is begun, or removed
    with TrainDataWriter.open(job.output.train_data_dir, job.config, job.output.overwrite) as writer:
        known = writer.scenes_done | {sample.scene.scene_id for sample in job.samples}
        for record in job.left_out:
            if record.scene_id not in known:
                writer.skip(record)
        commits = _Commits(job, writer)
        commits.work()
        result = writer.finalise()
    total = commits.total
    if not result.patches:
        why = [reason for _, reason in commits.damaged] or [_reasons(total)]
        raise UserError(f"No patch was kept ({why[0]}); change the limits and call again with --overwrite.")
    return PreprocessSummary(
        train_data_dir=job.output.train_data_dir,
        scenes=result.scenes,
        patches=result.patches,
        bytes=result.bytes,
        empty=result.empty,
        left_out=(*_left_out(job), *commits.damaged),
        dropped=dict(zip(DROP_REASONS, total.dropped.tolist(), strict=True)),
        clipped=_by_band(total, job.recipe),
        data_hash=result.data_hash,
    )


class _Commits:
    """The samples that are missing in a set, worked on tile by tile and committed in their order.

    `total` counts what this run met; `damaged` are scenes that could not be read to their end, with the reason.
    """

    def __init__(self, job: Job, writer: TrainDataWriter) -> None:
        self._job = job
        self._writer = writer
        self._samples = {s.scene.scene_id: s for s in job.samples if s.scene.scene_id not in writer.scenes_done}
        self._plans = {scene_id: _plan(sample, job.recipe) for scene_id, sample in self._samples.items()}
        self._scene = _Count()
        self.total = _Count()
        self.damaged: list[tuple[str, str]] = []

    def work(self) -> None:
        """Do it all, with the processes that the job asks for."""
        count = sum(map(len, self._plans.values()))
        parallel = self._job.parallel
        workers = min(parallel.workers or min(core_count(), count // _TILES_WORTH_A_PROCESS), count)
        with deferred_interrupt() as check, open_executor(max(1, workers), parallel.scheduler) as executor:
            for result in track(executor.map(make_tile, self._tasks()), "preprocess", count):
                self._take(result)
                check()

    def _tasks(self) -> Iterator[TileTask]:
        job, settings = self._job, self._job.config.to_toml()
        cache = TileCache(job.output.preprocess_cache, job.output.force_preprocess, settings)
        for i, (scene_id, sample) in enumerate(self._samples.items()):
            for number, windows in enumerate(self._plans[scene_id]):
                if self._is_damaged(scene_id):
                    break
                done = tile_key(scene_id, number) in self._writer.tiles_done
                name = None if done else f"{i}-{number}"
                root, place = job.output.train_data_dir, Path.cwd()
                yield TileTask(sample, number, windows, job.recipe, job.config, cache, root, place, name)

    def _is_damaged(self, scene_id: str) -> bool:
        return any(name == scene_id for name, _ in self.damaged)

    def _take(self, result: TileResult) -> None:
        """Commit a tile, with the scene's record if it is the last; pass over the rest of a damaged scene."""
        if self._is_damaged(result.scene_id):
            return
        if result.number == 0:
            self._scene = _Count()
        if result.failure is not None:
            self._leave(result.scene_id, result.failure)
            return
        first = self._scene.patches
        self._scene.add(result)
        self.total.add(result)
        if result.staged is None:
            return
        rows = [replace(row, patch_id=first + i) for i, row in enumerate(result.staged.rows)]
        staged = replace(result.staged, rows=rows)
        if result.number == len(self._plans[result.scene_id]) - 1:
            staged = self._with_record(staged)
        self._writer.commit(staged)

    def _leave(self, scene_id: str, reason: str) -> None:
        _log.warning("%s: left out: %s", scene_id, reason)
        sample = self._samples[scene_id]
        self._writer.skip(left_out(scene_id, reason, sample.source, self._scene.patches))
        self.damaged.append((scene_id, reason))

    def _with_record(self, staged: StagedTile) -> StagedTile:
        sample, whole = self._samples[staged.scene_id], self._scene
        scene = sample.scene
        clipped = _by_band(whole, self._job.recipe)
        if clipped:
            counts = ", ".join(f"{band} {count}" for band, count in clipped.items())
            _log.warning("%s: values beyond what the encoding can say were clipped: %s", scene.scene_id, counts)
        record = SceneRecord(
            scene.scene_id, DONE, whole.patches, None, sample.source, scene.region, scene.date, clipped
        )
        labels = sample.labels.features({"sample_id": scene.scene_id, "region": scene.region})
        return replace(staged, scene=record, labels=labels)


def _plan(sample: Sample, recipe: Recipe) -> list[list[Window]]:
    grid = sample.scene.grid
    return plan_tiles(grid.width, grid.height, recipe.patches.patch_size, recipe.patches.overlap)


def _by_band(count: _Count, recipe: Recipe) -> dict[str, int]:
    return {band.name: int(n) for band, n in zip(recipe.bands, count.clipped, strict=False) if n}


def _reasons(total: _Count) -> str:
    found = [f"{count}: {reason}" for reason, count in zip(DROP_REASONS, total.dropped, strict=True) if count]
    return "; ".join(found) or "no patch was cut"


def _left_out(job: Job) -> tuple[tuple[str, str], ...]:
    return tuple((record.scene_id, record.reason or "") for record in job.left_out)


def left_out(scene_id: str, reason: str, source: str = "", patches: int = 0) -> SceneRecord:
    """Record of a scene that cannot be used, or only its first patches."""
    return SceneRecord(scene_id, LEFT_OUT, patches, reason, source)


def _estimate(job: Job) -> PreprocessSummary:
    patches = sum(sum(map(len, _plan(sample, job.recipe))) for sample in job.samples)
    patch_bytes = job.recipe.patches.patch_size**2 * (2 * len(job.recipe.bands) + 1)
    return PreprocessSummary(
        train_data_dir=job.output.train_data_dir,
        scenes=len(job.samples),
        patches=patches,
        bytes=patches * patch_bytes,
        left_out=_left_out(job),
        dry_run=True,
    )


def plain_settings(*groups: OptionGroup) -> dict[str, Any]:
    """All options of some groups as config.toml keeps them, without what only says how this call is to be done."""
    settings: dict[str, Any] = {}
    for group in groups:
        settings |= {f.name: getattr(group, f.name) for f in dataclasses.fields(group)}  # type: ignore[arg-type]
    return settings
