"""Tiles made by workers, committed in the order of their scenes by this process."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from darts_train.base.executor import core_count, open_executor
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.dataset.schema import DONE, SceneRecord, tile_key
from darts_train.dataset.staging import StagedTile
from darts_train.dataset.writer import TrainDataWriter
from darts_train.preprocess.cache import TileCache
from darts_train.preprocess.interrupt import deferred_interrupt
from darts_train.preprocess.job import Job, left_out, plan_of
from darts_train.preprocess.patching import DROP_REASONS, Recipe
from darts_train.preprocess.work import TileResult, TileTask, make_tile

_TILES_WORTH_A_PROCESS = 4  # a process takes two seconds to start, a tile about as long
_log = logger("preprocess")


@dataclass
class Count:
    """Running totals of one scene, or of the run."""

    patches: int = 0
    clipped: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    dropped: np.ndarray = field(default_factory=lambda: np.zeros(len(DROP_REASONS), np.int64))

    def add(self, tile: TileResult) -> None:
        """Count a tile."""
        self.patches += tile.patches
        self.clipped = self.clipped + tile.clipped if self.clipped.size else tile.clipped.copy()
        self.dropped = self.dropped + tile.dropped


class Commits:
    """The samples that are missing in a set, worked on tile by tile and committed in their order.

    `total` counts what this run met; `damaged` are scenes that could not be read to their end, with the reason.
    """

    def __init__(self, job: Job, writer: TrainDataWriter) -> None:
        self._job = job
        self._writer = writer
        self._samples = {s.scene.scene_id: s for s in job.samples if s.scene.scene_id not in writer.scenes_done}
        self._plans = {scene_id: plan_of(sample, job.recipe) for scene_id, sample in self._samples.items()}
        self._scene = Count()
        self.total = Count()
        self.damaged: list[tuple[str, str]] = []

    def work(self) -> None:
        """Do it all, with the processes that the job asks for."""
        count = sum(map(len, self._plans.values()))
        parallel = self._job.parallel
        workers = parallel.workers or max(1, min(core_count(), count // _TILES_WORTH_A_PROCESS))
        with deferred_interrupt() as check, open_executor(workers, parallel.scheduler) as executor:
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
            self._scene = Count()
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
        self._writer.skip(left_out(scene_id, reason, sample.source))
        self.damaged.append((scene_id, reason))

    def _with_record(self, staged: StagedTile) -> StagedTile:
        sample, whole = self._samples[staged.scene_id], self._scene
        scene = sample.scene
        clipped = clipped_by_band(whole, self._job.recipe)
        if clipped:
            counts = ", ".join(f"{band} {count}" for band, count in clipped.items())
            _log.warning("%s: values beyond what the encoding can say were clipped: %s", scene.scene_id, counts)
        record = SceneRecord(
            scene.scene_id, DONE, whole.patches, None, sample.source, scene.region, scene.date, clipped
        )
        labels = sample.labels.features({"sample_id": scene.scene_id, "region": scene.region})
        return replace(staged, scene=record, labels=labels)


def clipped_by_band(count: Count, recipe: Recipe) -> dict[str, int]:
    """Values per band that its encoding could not say; bands without any are left out."""
    return {band.name: int(n) for band, n in zip(recipe.bands, count.clipped, strict=False) if n}
