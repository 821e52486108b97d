"""Chips to the tiles of a set: which chips are committed together, and how a chip becomes a patch with its row."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.memory import release_freed_memory
from darts_train.dataset.columns import Cell, Column
from darts_train.dataset.schema import PatchRow, SceneRecord, Tile, tile_key
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.staging import StagedTile, stage_tile
from darts_train.preprocess.chips.census import Reading
from darts_train.preprocess.measures import MEASURES, columns_of
from darts_train.preprocess.tiles import TILE_PIXELS
from darts_train.raster.band import IGNORE_INDEX
from darts_train.raster.encoding import encode
from darts_train.scenes.chips.chips import BadChip, Chip, ChipColumns, ChipRef, split_name
from darts_train.scenes.chips.reading import read_chips
from darts_train.scenes.class_values import classes_of

FILES = 64  # read by one worker, one after the other
SPLIT = Column("split", "text")
CHIP_MEASURES = tuple(measure for measure in MEASURES if not measure.needs)
CHIP_COLUMNS = (SPLIT, *columns_of(CHIP_MEASURES))


@dataclass(frozen=True)
class Named:
    """A chip with its place in the set."""

    ref: ChipRef
    sample_id: str
    patch_id: int
    group: str | None


@dataclass(frozen=True)
class ChipTile:
    """Chips of one scene that are committed together; `last` says that none of the scene comes after."""

    sample_id: str
    number: int
    chips: tuple[Named, ...]
    last: bool

    @property
    def key(self) -> str:
        """Name of the tile in `TrainDataWriter.tiles_done`."""
        return tile_key(self.sample_id, self.number)


@dataclass(frozen=True)
class ChipTask:
    """What a worker is told: tiles whose chips are read one after the other, and which of them to stage."""

    tiles: tuple[ChipTile, ...]
    staged: frozenset[str]
    name: str
    root: Path
    config: SetConfig
    columns: ChipColumns
    reading: Reading
    scale: float
    offset: float


@dataclass(frozen=True, eq=False)
class MadeTile:
    """A tile that was made: staged, unless it is in the set already; values per band that no code could say."""

    tile: ChipTile
    staged: StagedTile | None
    clipped: np.ndarray


def name_chip(ref: ChipRef, pattern: re.Pattern[str] | None) -> Named:
    """Scene, number and group of a chip by its name. Without a pattern every chip is a scene of its own."""
    sample_id, number = split_name(ref.name, alone=pattern is None)
    match = pattern.fullmatch(ref.name) if pattern else None
    return Named(ref, sample_id, number, match.group(1) if match else None)


def parse_pattern(text: str | None) -> re.Pattern[str] | None:
    """The expression of --group-pattern. Raises UserError where it is none, or has no parenthesis."""
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UserError(f"--group-pattern: {text!r} is no regular expression ({error}).") from None
    if not pattern.groups:
        raise UserError(f"--group-pattern: {text!r} has no parenthesis that says which part is the group.")
    return pattern


def shared_out(group: Sequence[Named]) -> list[list[Named]]:
    """Chips in lists for a worker each: some files, a list beginning where a scene does; a row group as it is.

    So the tiles of a scene do not depend on which others there are.
    """
    if group and group[0].ref.row is not None:
        return [list(group)]
    found: list[list[Named]] = [[]]
    for _, run in groupby(group, key=lambda chip: chip.sample_id):
        chips = list(run)
        if len(found[-1]) + len(chips) > FILES:
            found.append([])
        for start in range(0, len(chips), FILES):
            if start:
                found.append([])
            found[-1] += chips[start : start + FILES]
    return [part for part in found if part]


def plan_chip_tiles(groups: Sequence[Sequence[Named]], patch_size: int) -> list[list[ChipTile]]:
    """The tiles of chips that are read together: runs of one scene, as many as fit a tile.

    A scene may come again later, in another row group: its tiles go on counting.
    """
    most = max(1, TILE_PIXELS // patch_size**2)
    counts: dict[str, int] = {}
    plan: list[list[ChipTile]] = []
    for group in groups:
        tiles = []
        for sample_id, run in groupby(group, key=lambda chip: chip.sample_id):
            chips = tuple(run)
            for start in range(0, len(chips), most):
                number = counts[sample_id] = counts.get(sample_id, -1) + 1
                tiles.append(ChipTile(sample_id, number, chips[start : start + most], False))
        plan.append(tiles)
    return [[replace(tile, last=tile.number == counts[tile.sample_id]) for tile in tiles] for tiles in plan]


def make_tiles(task: ChipTask) -> list[MadeTile]:
    """Read, encode and stage tiles, one in memory at a time. Raises UserError where a chip cannot be read any more."""
    refs = [chip.ref for tile in task.tiles for chip in tile.chips]
    chips = read_chips(refs, task.columns)
    made = [_make(task, tile, chips, f"{task.name}-{i}") for i, tile in enumerate(task.tiles)]
    release_freed_memory()
    return made


@dataclass
class _Parts:
    """The patches of a tile, while it is made."""

    x: list[np.ndarray] = field(default_factory=list)
    y: list[np.ndarray] = field(default_factory=list)
    rows: list[PatchRow] = field(default_factory=list)


def _make(task: ChipTask, tile: ChipTile, chips: Iterator[tuple[ChipRef, Chip | BadChip]], name: str) -> MadeTile:
    parts, clipped = _Parts(), np.zeros(len(task.config.bands), np.int64)
    for named in tile.chips:
        _, chip = next(chips)
        if isinstance(chip, BadChip) or chip.label is None:
            raise UserError(f"--chips-dir: {named.ref.name} was changed while it was imported; call again.")
        values, y = _patch(task, named, chip)
        codes, beyond = encode(values, task.config.bands)
        clipped += beyond
        if tile.key in task.staged:
            parts.x.append(codes)
            parts.y.append(y)
            parts.rows.append(chip_row(named, values, y, task.config))
    if not parts.rows:
        return MadeTile(tile, None, clipped)
    whole = Tile(tile.sample_id, tile.number, parts.rows, np.stack(parts.x), np.stack(parts.y))
    return MadeTile(tile, stage_tile(task.root, task.config, whole, name), clipped)


def _patch(task: ChipTask, named: Named, chip: Chip) -> tuple[np.ndarray, np.ndarray]:
    """Values float64 [c, P, P] in physical units, NaN for no data, and classes uint8 [P, P], ignored there."""
    assert chip.label is not None
    valid, _ = task.reading.valid(named.ref, chip)
    values = np.where(valid, chip.image * np.float64(task.scale) + task.offset, np.nan)
    return values, classes_of(chip.label, np.asarray(valid.all(axis=0)), task.reading.mapping_of(chip))


def chip_row(named: Named, values: np.ndarray, y: np.ndarray, config: SetConfig) -> PatchRow:
    """The row of a patch.

    Where a chip lay in its mosaic is not known: as `x` it has a place of its own in a row of chips, by its number.
    """
    shares = np.bincount(y.ravel(), minlength=IGNORE_INDEX + 1)[: len(config.classes)] / y.size
    cells: Mapping[str, Cell] = {k: v for measure in CHIP_MEASURES for k, v in measure.of(values, y, {}).items()}
    return PatchRow(
        patch_id=named.patch_id,
        sample_id=named.sample_id,
        group=named.group,
        empty=not shares[1:].any(),
        x=named.patch_id * config.patch_size,
        y=0,
        valid_fraction=float(shares.sum()),
        positive_fraction=float(shares[1:].sum()),
        class_fractions=[float(share) for share in shares],
        source=named.ref.source,
        columns={SPLIT.name: named.ref.split, **cells},
    )


def scene_record(tile: ChipTile, patches: int, clipped: dict[str, int]) -> SceneRecord:
    """The record of a scene, that comes with its last tile."""
    return SceneRecord(tile.sample_id, patches=patches, source=tile.chips[0].ref.source, clipped=clipped)
