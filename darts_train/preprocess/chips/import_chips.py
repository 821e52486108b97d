"""Train data from chips that another program cut: the command import-chips.

    find (names only) → one look at all chips → plan → for each tile: read → encode → stage | commit

Nothing is written before the look: a chip that cannot be used, another size, a value of no class stop the import with
their names and counts. A killed import goes on where it stopped, and ends with the same bytes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError, listing
from darts_train.base.executor import Executor, core_count, open_executor
from darts_train.base.files import require_writable
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.dataset.journal import Journal
from darts_train.dataset.schema import DONE, tile_key
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.writer import SetSummary, TrainDataWriter
from darts_train.options.chips import Chips, ChipSet
from darts_train.options.preprocessing import Parallel
from darts_train.preprocess.checks import check_classes
from darts_train.preprocess.chips.census import Census, CensusTask, Kind, Reading, check_census, take_census
from darts_train.preprocess.chips.tiles import (
    CHIP_COLUMNS,
    ChipTask,
    ChipTile,
    MadeTile,
    Named,
    make_tiles,
    name_chip,
    parse_pattern,
    plan_chip_tiles,
    scene_record,
    shared_out,
)
from darts_train.preprocess.interrupt import deferred_interrupt
from darts_train.preprocess.job import left_out, plain_settings
from darts_train.preprocess.set_bands import earlier_config
from darts_train.preprocess.summary import PreprocessSummary
from darts_train.scenes.chips.chips import ChipColumns
from darts_train.scenes.chips.find import find_chips
from darts_train.scenes.class_values import parse_remap
from darts_train.scenes.measure import native_band

COMMAND = "import-chips"
UNLABELLED = "no labels"
_PICTURE = ("red", "green", "blue")
_log = logger("preprocess")


def import_chips(chips: Chips, chip_set: ChipSet, parallel: Parallel = Parallel()) -> PreprocessSummary:
    """Make a train data directory of chips. Called again with the same settings, it adds what is missing.

    Raises:
        UserError: before anything is written where a place is not there, a chip cannot be used or holds pickled
            objects, two have one name, sizes or types differ, a label value stands for no class, or the directory has
            other settings; chips of a scene that is in the set changed.
    """
    check_classes(chips.classes)
    mapping = parse_remap(chips.remap, len(chips.classes), chips.remap_format)
    reading = Reading(mapping, chips.nodata, chips.black)
    pattern, columns = parse_pattern(chips.group_pattern), ChipColumns(chips.image_column, chips.label_column)
    require_writable(chip_set.train_data_dir, "--train-data-dir")
    if not chip_set.append and not chip_set.overwrite and Journal(chip_set.train_data_dir).exists():
        raise UserError(f"{chip_set.train_data_dir} holds a set; --append to add to it, --overwrite to replace.")
    groups = [[name_chip(ref, pattern) for ref in group] for group in find_chips(chips.chips_dir, columns)]
    named = [part for group in groups for part in shared_out(group)]
    workers = min(parallel.workers or min(core_count(), len(named) // 4), len(named))
    with open_executor(max(1, workers), parallel.scheduler) as executor:
        census = _look(executor, named, columns, reading)
        total = sum(map(len, named))
        kind = check_census(census, len(chips.classes), total)
        config = _config(chips, chip_set, kind, census)
        _say(chips, census, named)
        job = _Import(chips, chip_set, config, columns, reading, named, frozenset(census.unlabelled))
        return job.estimate() if chip_set.dry_run else job.run(executor)


def _look(executor: Executor, named: Sequence[Sequence[Named]], columns: ChipColumns, reading: Reading) -> Census:
    census = Census()
    tasks = (CensusTask([chip.ref for chip in part], columns, reading) for part in named)
    for found in track(executor.map(take_census, tasks), "look", len(named)):
        census.add(found)
    return census


def _say(chips: Chips, census: Census, named: Sequence[Sequence[Named]]) -> None:
    """What a user should know before the work, and can still change."""
    if census.black:
        _log.warning("%d pixels are 0 in all bands and taken for no data; --black data keeps them", census.black)
    if census.unlabelled:
        _log.warning(
            "%d chips have no labels and are left out (%s)", len(census.unlabelled), listing(census.unlabelled)
        )
    groups = Counter(chip.group for part in named for chip in part)
    if chips.group_pattern and len(groups) == 1 < sum(groups.values()) and None not in groups:
        _log.warning("all chips are of one mosaic, %s; --group-pattern none makes each stand alone", next(iter(groups)))


def _config(chips: Chips, chip_set: ChipSet, kind: Kind, census: Census) -> SetConfig:
    """What the set is. Encodings of an earlier call stay, so that chips can be added."""
    count, side, _, dtype = kind
    names = tuple(name.strip().lower() for name in chips.band_names or ()) or _usual_names(count, dtype)
    if len(names) != count or len(set(names)) < count:
        raise UserError(f"--band-names: {listing(names, 8)} for {count} bands; name each once.")
    earlier = earlier_config(chip_set.train_data_dir, chip_set.overwrite)
    if earlier is not None and earlier.band_names == names:
        bands = earlier.bands
    else:
        scale, offset = _scale(chips)
        dtype = "uint8" if dtype == "bool" else dtype
        pairs = zip(names, census.counts, strict=True)
        bands = tuple(native_band(name, dtype, scale, offset, counts) for name, counts in pairs)
    return SetConfig(
        bands=bands,
        patch_size=side,
        classes=chips.classes,
        command=COMMAND,
        columns=CHIP_COLUMNS,
        settings=plain_settings(chips),
    )


def _usual_names(count: int, dtype: str) -> tuple[str, ...]:
    return _PICTURE if (count, dtype) == (3, "uint8") else tuple(f"band_{i + 1}" for i in range(count))


def _scale(chips: Chips) -> tuple[float, float]:
    return (1.0 if chips.scale is None else chips.scale), (0.0 if chips.offset is None else chips.offset)


@dataclass(frozen=True)
class _Import:
    """All that is known after the look."""

    chips: Chips
    chip_set: ChipSet
    config: SetConfig
    columns: ChipColumns
    reading: Reading
    named: Sequence[Sequence[Named]]
    unlabelled: frozenset[str]

    def _plan(self) -> list[list[ChipTile]]:
        labelled = [[chip for chip in part if chip.ref.name not in self.unlabelled] for part in self.named]
        return plan_chip_tiles(labelled, self.config.patch_size)

    @property
    def _left_out(self) -> list[tuple[str, str]]:
        return [(chip.ref.name, chip.ref.source) for part in self.named for chip in part if self._is_left(chip)]

    def _is_left(self, chip: Named) -> bool:
        return chip.ref.name in self.unlabelled

    def estimate(self) -> PreprocessSummary:
        """What the set would hold."""
        tiles = [tile for part in self._plan() for tile in part]
        patches = sum(len(tile.chips) for tile in tiles)
        size = self.config.patch_size**2 * (2 * len(self.config.bands) + 1)
        scenes = len({tile.sample_id for tile in tiles})
        return self._summary(scenes, patches, patches * size, dry_run=True)

    def run(self, executor: Executor) -> PreprocessSummary:
        """Write what is missing."""
        plan, root = self._plan(), self.chip_set.train_data_dir
        clipped = np.zeros(len(self.config.bands), np.int64)
        with TrainDataWriter.open(root, self.config, self.chip_set.overwrite) as writer:
            _check_same(root, plan)
            for name, source in self._left_out:
                writer.skip(left_out(name, UNLABELLED, source))
            scene: dict[str, tuple[int, np.ndarray]] = {}
            tasks = self._tasks(plan, writer)
            with deferred_interrupt() as check:
                for made in track(executor.map(make_tiles, tasks), "import", len(tasks)):
                    for tile in made:
                        clipped += tile.clipped
                        self._commit(writer, tile, scene)
                    check()
            found = writer.finalise()
        return self._written(found, clipped)

    def _tasks(self, plan: Sequence[Sequence[ChipTile]], writer: TrainDataWriter) -> list[ChipTask]:
        """Tiles of scenes that are not whole; those in the set already are only counted again for their record."""
        scale, offset = _scale(self.chips)
        tasks = []
        for i, part in enumerate(plan):
            tiles = tuple(tile for tile in part if tile.sample_id not in writer.scenes_done)
            staged = frozenset(tile.key for tile in tiles if tile.key not in writer.tiles_done)
            root = self.chip_set.train_data_dir
            if tiles:
                tasks.append(
                    ChipTask(tiles, staged, str(i), root, self.config, self.columns, self.reading, scale, offset)
                )
        return tasks

    def _commit(self, writer: TrainDataWriter, made: MadeTile, scene: dict[str, tuple[int, np.ndarray]]) -> None:
        tile = made.tile
        patches, clipped = scene.pop(tile.sample_id, (0, np.zeros_like(made.clipped)))
        patches, clipped = patches + len(tile.chips), clipped + made.clipped
        if not tile.last:
            scene[tile.sample_id] = patches, clipped
        if made.staged is None:
            return
        record = scene_record(tile, patches, self._by_band(clipped)) if tile.last else None
        writer.commit(replace(made.staged, scene=record))

    def _by_band(self, clipped: np.ndarray) -> dict[str, int]:
        return {band.name: int(n) for band, n in zip(self.config.bands, clipped, strict=True) if n}

    def _written(self, found: SetSummary, clipped: np.ndarray) -> PreprocessSummary:
        for band, count in self._by_band(clipped).items():
            _log.warning("%d values of band %s are beyond what the encoding can say and were clipped", count, band)
        summary = self._summary(found.scenes, found.patches, found.bytes)
        return replace(summary, empty=found.empty, clipped=self._by_band(clipped), data_hash=found.data_hash)

    def _summary(self, scenes: int, patches: int, size: int, dry_run: bool = False) -> PreprocessSummary:
        left = tuple((name, UNLABELLED) for name, _ in self._left_out)
        return PreprocessSummary(self.chip_set.train_data_dir, scenes, patches, size, left_out=left, dry_run=dry_run)


def _check_same(root: Path, plan: Sequence[Sequence[ChipTile]]) -> None:
    """Raise UserError where chips of a scene that was begun are not those that are there now."""
    planned = {tile.key: [chip.patch_id for chip in tile.chips] for part in plan for tile in part}
    now = Counter(tile.sample_id for part in plan for tile in part for _ in tile.chips)
    journal = Journal(root)
    journal.load()
    rows, done = journal.rows(), journal.scenes_with(DONE)
    for fragment in journal.fragments:
        there = [row["patch_id"] for row in islice(rows, fragment.count)]
        name, count = fragment.scene_id, journal.patches_of(fragment.scene_id)
        if fragment.number is None or name not in now:
            continue
        if planned.get(tile_key(name, fragment.number)) != there or (name in done and now[name] != count):
            raise UserError(
                f"--chips-dir: {name} was imported with {count} chips, and now has others ({now[name]}). "
                "Use --overwrite to import all of it anew."
            )
