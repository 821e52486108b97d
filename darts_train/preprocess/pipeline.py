"""Scenes to train data: every source goes through here.

    for each scene: for each tile: read → compute → mask → cut → filter → encode → commit

One tile is in memory at a time and each is committed as it is finished, so a killed run loses one tile at most.
A scene of which some tiles are committed is computed from its beginning again (its record counts all of
it), but committed only where it stopped.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from darts_train.base.errors import UserError, listing
from darts_train.base.files import require_writable
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.dataset.schema import DONE, LEFT_OUT, PatchRow, SceneRecord, Tile, tile_key
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.writer import TrainDataWriter
from darts_train.options.fields import OptionGroup
from darts_train.options.preprocessing import Output
from darts_train.preprocess.cache import TileCache
from darts_train.preprocess.interrupt import deferred_interrupt
from darts_train.preprocess.patching import DROP_REASONS, CutTile, Recipe, Sample, cut_tile, patch_rows
from darts_train.preprocess.summary import PreprocessSummary
from darts_train.preprocess.tiles import plan_tiles
from darts_train.raster.patches import Window

_log = logger("preprocess")


@dataclass(frozen=True)
class Job:
    """What is to be done: usable samples in their order, the records of others, how to cut, what the set is."""

    samples: Sequence[Sample]
    left_out: Sequence[SceneRecord]
    recipe: Recipe
    config: SetConfig
    output: Output


@dataclass
class _Count:
    """Running totals of one scene, or of the run."""

    patches: int = 0
    clipped: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    dropped: np.ndarray = field(default_factory=lambda: np.zeros(len(DROP_REASONS), np.int64))

    def add(self, tile: CutTile) -> None:
        self.patches += len(tile.x)
        self.clipped = self.clipped + tile.clipped if self.clipped.size else tile.clipped.copy()
        self.dropped = self.dropped + tile.dropped


def run(job: Job) -> PreprocessSummary:
    """Write the set, or the missing part of it, and say what it holds.

    Raises UserError where no patch is left, the directory has other settings, or a file cannot be read half way
    (what was committed stays); KeyboardInterrupt after the tile in work when Ctrl-C was pressed.
    """
    if job.output.preprocess_cache is not None:
        require_writable(job.output.preprocess_cache, "--preprocess-cache")
    if job.output.dry_run:
        return _estimate(job)
    total = _Count()
    with TrainDataWriter.open(job.output.train_data_dir, job.config, job.output.overwrite) as writer:
        known = writer.scenes_done | {sample.scene.scene_id for sample in job.samples}
        for record in job.left_out:
            if record.scene_id not in known:
                writer.skip(record)
        missing = [sample for sample in job.samples if sample.scene.scene_id not in writer.scenes_done]
        _write(job, missing, writer, total)
        result = writer.finalise()
    if not result.patches:
        raise UserError(f"No patch was kept ({_reasons(total)}); change the limits and call again with --overwrite.")
    return PreprocessSummary(
        train_data_dir=job.output.train_data_dir,
        scenes=result.scenes,
        patches=result.patches,
        bytes=result.bytes,
        empty=result.empty,
        left_out=_left_out(job),
        dropped=dict(zip(DROP_REASONS, total.dropped.tolist(), strict=True)),
        clipped=_by_band(total, job.recipe),
        data_hash=result.data_hash,
    )


def _write(job: Job, samples: Sequence[Sample], writer: TrainDataWriter, total: _Count) -> None:
    plans = [_plan(sample, job.recipe) for sample in samples]
    cache = TileCache(job.output.preprocess_cache, job.output.force_preprocess, job.config.to_toml())
    tiles = ((sample, plan, number) for sample, plan in zip(samples, plans, strict=True) for number in range(len(plan)))
    count = _Count()
    with deferred_interrupt() as check:
        for sample, plan, number in track(tiles, "preprocess", sum(map(len, plans))):
            if number == 0:
                count = _Count()
            tile = _tile(sample, plan, number, job.recipe, cache)
            first = count.patches
            count.add(tile)
            total.add(tile)
            if tile_key(sample.scene.scene_id, number) not in writer.tiles_done:
                rows = patch_rows(sample, plan[number], tile, first, len(job.config.classes))
                last = number == len(plan) - 1
                writer.commit(_with_record(sample, number, rows, tile, count if last else None, job.recipe))
            check()


def _plan(sample: Sample, recipe: Recipe) -> list[list[Window]]:
    grid = sample.scene.grid
    return plan_tiles(grid.width, grid.height, recipe.patches.patch_size, recipe.patches.overlap)


def _tile(sample: Sample, plan: list[list[Window]], number: int, recipe: Recipe, cache: TileCache) -> CutTile:
    path = cache.path(sample.files, sample.scene.scene_id, number)
    tile = cache.load(path)
    if tile is None:
        tile = cut_tile(sample, plan[number], recipe)
        cache.store(path, tile)
    return tile


def _with_record(
    sample: Sample, number: int, rows: list[PatchRow], tile: CutTile, whole: _Count | None, recipe: Recipe
) -> Tile:
    """The tile as the writer takes it; given the totals of the whole scene, it is the last and has its record."""
    scene = sample.scene
    if whole is None:
        return Tile(scene.scene_id, number, rows, tile.x, tile.y)
    clipped = _by_band(whole, recipe)
    if clipped:
        counts = ", ".join(f"{band} {count}" for band, count in clipped.items())
        _log.warning("%s: values beyond what the encoding can say were clipped: %s", scene.scene_id, counts)
    record = SceneRecord(scene.scene_id, DONE, whole.patches, None, sample.source, scene.region, scene.date, clipped)
    labels = sample.labels.features({"sample_id": scene.scene_id, "region": scene.region})
    return Tile(scene.scene_id, number, rows, tile.x, tile.y, record, labels)


def _by_band(count: _Count, recipe: Recipe) -> dict[str, int]:
    return {band.name: int(n) for band, n in zip(recipe.bands, count.clipped, strict=False) if n}


def _reasons(total: _Count) -> str:
    found = [f"{count}: {reason}" for reason, count in zip(DROP_REASONS, total.dropped, strict=True) if count]
    return "; ".join(found) or "no patch was cut"


def _left_out(job: Job) -> tuple[tuple[str, str], ...]:
    return tuple((record.scene_id, record.reason or "") for record in job.left_out)


def left_out(scene_id: str, reason: str, source: str = "") -> SceneRecord:
    """Record of a scene that cannot be used."""
    return SceneRecord(scene_id, LEFT_OUT, 0, reason, source)


def check_usable(samples: Sequence[Sample], records: Sequence[SceneRecord]) -> None:
    """Say before the work what cannot be used; raise UserError where that is everything."""
    by_reason: dict[str, list[str]] = {}
    for record in records:
        by_reason.setdefault(record.reason or "", []).append(record.scene_id)
    for reason, scenes in by_reason.items():
        _log.warning("left out %d: %s (%s)", len(scenes), reason, listing(scenes, 3))
    if not samples:
        reasons = "; ".join(f"{len(scenes)}: {reason}" for reason, scenes in list(by_reason.items())[:3])
        raise UserError(f"No scene can be used ({reasons or 'none was found'}).")


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
