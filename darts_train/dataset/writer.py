"""Writing a train data directory so that it can be killed at any moment.

Order of the writes, each durable before the next begins:

    1  .journal/config.toml          what the set is
    2  data.zarr, empty
    3  .journal/staging/…            chunks of x and y of a tile, by any worker, in any order
    4  chunks, moved to data.zarr    (metadata.parquet of an earlier end is removed before the first)
    5  .journal/NNNNNN.json          the tile is committed by this rename
       … 4 and 5 for every tile, in order
    6  scenes.parquet, labels.geojson, config.toml
    7  metadata.parquet              the set is whole

A kill between 3 and 5 leaves chunks that nobody committed; opening rolls x and y back to the journal. Everything
in 6 and 7 is made anew from the journal each time. So a run that was killed and called again ends with the same
bytes as one that was left in peace.
"""

from collections.abc import Iterator, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from darts_train.base.errors import UserError, listing
from darts_train.base.files import remove_tree, require_writable
from darts_train.base.locks import exclusive_lock
from darts_train.dataset import layout
from darts_train.dataset.arrays import PatchArrays
from darts_train.dataset.identity import manifest_hash
from darts_train.dataset.journal import Fragment, Journal
from darts_train.dataset.schema import DONE, LEFT_OUT, SceneRecord, Tile, plain_json, plain_row, plain_scene
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.staging import StagedTile, cannot_write, check_record, stage_tile
from darts_train.dataset.tables import write_products


@dataclass(frozen=True)
class SetSummary:
    """A finished train data directory: patches, scenes that were done and left out, size of data.zarr in bytes."""

    directory: Path
    patches: int
    scenes: int
    left_out: int
    empty: int
    bytes: int
    data_hash: str

    def summary(self) -> str:
        """A few plain lines for the terminal."""
        left_out = f", {self.left_out} left out (see {layout.SCENES})" if self.left_out else ""
        return (
            f"{self.directory}: {self.patches} patches ({self.empty} without a positive pixel) "
            f"from {self.scenes} scenes{left_out}\n"
            f"{self.bytes / 1e6:.1f} MB, data hash {self.data_hash}"
        )


class TrainDataWriter:
    """Writes one train data directory, tile by tile. Use `open`, as a context manager.

    Tiles are committed in an order that is the same in every run (scene by scene, tile by tile); `tiles_done` says
    which are there already. Not for use by several threads at once.
    """

    def __init__(self, root: Path, config: SetConfig, journal: Journal, arrays: PatchArrays, held: ExitStack) -> None:
        self.root = root
        self.config = config
        self._journal = journal
        self._arrays = arrays
        self._held = held
        self._torn = False  # a write was interrupted in this process: what is on disk may be more than we know

    @classmethod
    def open(cls, root: Path, config: SetConfig, overwrite: bool = False) -> "TrainDataWriter":
        """Begin a set, or go on with one that has the same config.

        Holds a lock on the directory until the writer is closed. With `overwrite`, what the writer owns there is
        removed first; other files stay.

        Raises UserError where the directory cannot be written, is being written, holds a set that was not made by
        this writer, has other settings, or lost committed patches.
        """
        require_writable(root, "--train-data-dir")
        journal = Journal(root)
        _refuse_foreign(root, journal, overwrite)
        with ExitStack() as stack:
            stack.enter_context(exclusive_lock(journal.directory / layout.LOCK, str(root)))
            if overwrite:
                layout.remove_set(root)
            layout.sweep_leftovers(root)
            remove_tree(journal.directory / layout.STAGING)
            if journal.exists():
                _compare(root, journal.config(), config)
            else:
                journal.begin(config)
            journal.load()
            arrays = PatchArrays.open(root, config, journal.patches)
            return cls(root, config, journal, arrays, stack.pop_all())

    def __enter__(self) -> "TrainDataWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the lock. What was committed stays; a later `open` goes on from there."""
        self._held.close()

    @property
    def tiles_done(self) -> Set[str]:
        """Keys (`schema.tile_key`) of the committed tiles."""
        return self._journal.tiles

    @property
    def scenes_done(self) -> Set[str]:
        """Ids of the scenes whose last tile was committed."""
        return self._journal.scenes_with(DONE)

    @property
    def scenes_left_out(self) -> Set[str]:
        """Ids of the scenes left out so far. They are not in `scenes_done`: their cause may have been mended."""
        return self._journal.scenes_with(LEFT_OUT)

    def commit(self, tile: Tile | StagedTile) -> None:
        """Commit the patches of a tile: after this returns, they survive a kill. Those not staged yet are staged.

        Raises ValueError where the tile does not fit the set (shapes, dtypes, class values) or was committed before,
        and UserError where the disk cannot take it.
        """
        staged = stage_tile(self.root, self.config, tile, "here") if isinstance(tile, Tile) else tile
        check_record(staged)
        with self._writing():
            if staged.key in self.tiles_done or self._is_done(staged.scene_id):
                raise ValueError(f"tile {staged.key} was committed before")
            fragment = _fragment(staged, self._journal.patches)
            layout.remove_metadata(self.root)
            self._arrays.adopt(fragment.start, staged.directory, fragment.count)
            self._journal.append(fragment)
        remove_tree(staged.directory)

    def skip(self, record: SceneRecord) -> None:
        """Record a scene that was left out, with the patches that were committed before it turned out to be damaged.

        Nothing happens where the same record is there from an earlier run.

        Raises ValueError where the record has another status or no reason, or the scene was done before.
        """
        if record.status != LEFT_OUT or not record.reason:
            raise ValueError(f"scene {record.scene_id}: to skip it needs status {LEFT_OUT!r} and a reason")
        with self._writing():
            if self._is_done(record.scene_id):
                raise ValueError(f"scene {record.scene_id} was done before")
            plain = plain_scene(replace(record, patches=self._journal.patches_of(record.scene_id)))
            if self._journal.scenes.get(record.scene_id) != plain:
                layout.remove_metadata(self.root)
                self._journal.append(Fragment(record.scene_id, None, self._journal.patches, 0, [], plain, []))

    def finalise(self) -> SetSummary:
        """Write the tables from the journal, metadata.parquet last. May be called again after further commits."""
        with self._writing():
            table = write_products(self.root, self._journal, self.config)
            remove_tree(self._journal.directory / layout.STAGING)
        return SetSummary(
            directory=self.root,
            patches=table.num_rows,
            scenes=len(self.scenes_done),
            left_out=len(self.scenes_left_out),
            empty=sum(table.column("empty").to_pylist()),
            bytes=sum(path.stat().st_size for path in (self.root / layout.DATA).rglob("*") if path.is_file()),
            data_hash=manifest_hash(self.config, table.column("checksum").to_pylist()),
        )

    def _is_done(self, scene_id: str) -> bool:
        record = self._journal.scenes.get(scene_id)
        return record is not None and record["status"] == DONE

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One write. After one that was interrupted (a full disk, Ctrl-C), first go back to what the journal says."""
        try:
            if self._torn:
                self._journal.load()
                self._arrays.roll_back(self._journal.patches)
            self._torn = True
            yield
        except OSError as error:
            raise cannot_write(self.root, error) from error
        self._torn = False


def _fragment(tile: StagedTile, start: int) -> Fragment:
    rows = [plain_row(row, checksum) for row, checksum in zip(tile.rows, tile.checksums, strict=True)]
    scene = None if tile.scene is None else plain_scene(tile.scene)
    return Fragment(tile.scene_id, tile.number, start, len(rows), rows, scene, plain_json(list(tile.labels)))


def _refuse_foreign(root: Path, journal: Journal, overwrite: bool) -> None:
    """Leave alone what this writer did not make: a lone config.toml always, a whole set unless told otherwise."""
    found = layout.existing_products(root)
    if not found or journal.exists():
        return
    if not {layout.DATA, layout.METADATA} & set(found):
        raise UserError(f"{root} holds {listing(found)}, but no train data; choose another directory.")
    if not overwrite:
        raise UserError(
            f"{root} holds {listing(found)} but no journal of ours: it was made elsewhere. "
            "Choose another directory, or --overwrite to replace these."
        )


def _compare(root: Path, there: SetConfig, now: SetConfig) -> None:
    # Both go through the text form: a tuple and a list, a path and its text are no difference.
    differences = there.differences(SetConfig.from_toml(now.to_toml()))
    if differences:
        raise UserError(
            f"{root} was made with other settings ({'; '.join(differences)}). "
            "Use the same, choose another directory, or --overwrite."
        )
