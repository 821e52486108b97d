"""A smaller set of the patches of another: chunks are copied as they are where both sets store alike.

Scene by scene through the writer and its journal, so that a killed copy goes on where it stopped. Scenes of which
nothing is kept stay in scenes.parquet, as left out; label polygons of the others, further columns, and columns that
were added later come along.
"""

import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from darts_train.base.errors import UserError
from darts_train.base.files import remove_tree
from darts_train.base.progress import track
from darts_train.dataset import layout
from darts_train.dataset.arrays import PatchArrays
from darts_train.dataset.parquet import write_parquet
from darts_train.dataset.reader import TrainData
from darts_train.dataset.schema import DONE, LEFT_OUT, METADATA_SCHEMA, NO_REGION, PatchRow, SceneRecord, Tile, tile_key
from darts_train.dataset.set_config import SetConfig
from darts_train.dataset.staging import StagedTile
from darts_train.dataset.store import chunk_path, open_arrays
from darts_train.dataset.writer import SetSummary, TrainDataWriter

NOTHING_KEPT = "no patch was kept"
ARRAYS = ("x", "y", "valid")
_MOST = 256  # patches that are committed at once
_KEYS = ("sample_id", "patch_id")


def write_subset(data: TrainData, rows: np.ndarray, root: Path, config: SetConfig, overwrite: bool) -> SetSummary:
    """Write the patches `rows` (int64, ascending) of a set, all its bands, to `root`.

    Raises UserError where the set is of older make, `root` cannot be written or has other settings, or a patch is
    damaged.
    """
    if not data.encoded:
        raise UserError(f"{data.root} is of older make, without an encoding; give --where to the training instead.")
    source = _Source.of(data)
    chosen = source.metadata.iloc[rows]
    patches = chosen["sample_id"].value_counts()
    with TrainDataWriter.open(root, config, overwrite) as writer:
        alike = _alike(data, root)
        tiles = [part for part in _tiles(chosen) if tile_key(part.scene_id, part.number) not in writer.tiles_done]
        for part in track(tiles, "copy", len(tiles)):
            if alike:
                tile: Tile | StagedTile = _copied(data, root, config, source, part)
            else:
                tile = _read(data, config, source, part)
            if part.last:
                record = source.record(part.scene_id, int(patches[part.scene_id]))
                tile = dataclasses.replace(tile, scene=record, labels=source.labels.get(part.scene_id, []))
            writer.commit(tile)
        for record in source.left_out(set(patches.index)):
            writer.skip(record)
        _write_added(root, source, rows)
        return writer.finalise()


@dataclasses.dataclass(frozen=True)
class _Part:
    """Patches that are committed together: their rows in the source; `last` of their scene or not."""

    scene_id: str
    number: int
    rows: list[int]
    last: bool = False


def _read(data: TrainData, config: SetConfig, source: "_Source", part: _Part) -> Tile:
    """The patches of a part, decoded: they are stored anew."""
    x, y = data.read_many(part.rows)
    rows = [_measured(source.row(row), labels, config) for row, labels in zip(part.rows, y, strict=True)]
    return Tile(part.scene_id, part.number, rows, x, y)


def _measured(row: PatchRow, y: np.ndarray, config: SetConfig) -> PatchRow:
    """The row with its shares, where the set of another program lacks them."""
    if len(row.class_fractions) == len(config.classes):
        return row
    shares = np.bincount(y.ravel(), minlength=256)[: len(config.classes)] / y.size
    return dataclasses.replace(
        row,
        class_fractions=shares.tolist(),
        valid_fraction=float(shares.sum()),
        positive_fraction=float(shares[1:].sum()),
    )


def _tiles(chosen: pd.DataFrame) -> list[_Part]:
    """Runs of patches of one scene, in the order of the rows."""
    counts: dict[str, int] = {}
    found = []
    for scene_id, run in groupby(zip(chosen["sample_id"], chosen.index, strict=True), key=lambda pair: pair[0]):
        rows = [int(row) for _, row in run]
        for start in range(0, len(rows), _MOST):
            counts[scene_id] = counts.get(scene_id, -1) + 1
            found.append(_Part(scene_id, counts[scene_id], rows[start : start + _MOST]))
    return [dataclasses.replace(part, last=part.number == counts[part.scene_id]) for part in found]


@dataclasses.dataclass(frozen=True, eq=False)
class _Source:
    """The set that is chosen from: rows in order, its scenes by id, its label polygons by scene."""

    metadata: pd.DataFrame
    declared: tuple[str, ...]
    scenes: Mapping[str, Mapping[str, Any]]
    labels: Mapping[str, list[Mapping[str, Any]]]

    @classmethod
    def of(cls, data: TrainData) -> "_Source":
        metadata = data.metadata
        if "patch_id" not in metadata:  # of another program
            metadata = metadata.assign(patch_id=metadata.groupby("sample_id").cumcount())
        declared = tuple(column.name for column in data.config.columns)
        return cls(metadata, declared, _scenes(data.root), _labels(data.root))

    def row(self, index: int) -> PatchRow:
        """A patch as the writer takes it."""
        cells = {str(k): _plain(v) for k, v in self.metadata.iloc[index].to_dict().items()}
        known = {f.name for f in dataclasses.fields(PatchRow)} - {"columns"}
        taken = {k: v for k, v in cells.items() if k in known and (v is not None or k in ("geometry", "group", "date"))}
        return PatchRow(**taken, columns={k: cells.get(k) for k in self.declared})

    def checksums(self, rows: Sequence[int]) -> list[str]:
        """Those of the patches, as metadata.parquet has them."""
        return [str(self.metadata["checksum"].iloc[row]) for row in rows]

    def record(self, scene_id: str, patches: int) -> SceneRecord:
        """The record of a scene that is kept, with another number of patches."""
        plain = self.scenes.get(scene_id)
        if plain is None:
            first = self.metadata[self.metadata["sample_id"] == scene_id].iloc[0]
            return SceneRecord(scene_id, patches=patches, region=str(first["region"]))
        return _record(plain, DONE, None, patches)

    def left_out(self, kept: set[str]) -> Iterator[SceneRecord]:
        """Scenes that give no patch: left out before, or now."""
        for scene_id, plain in self.scenes.items():
            if scene_id not in kept:
                reason = plain["reason"] if plain["status"] == LEFT_OUT and plain["reason"] else NOTHING_KEPT
                yield _record(plain, LEFT_OUT, str(reason), 0)

    @property
    def added(self) -> list[str]:
        """Columns beyond those that the set itself writes."""
        own = {*METADATA_SCHEMA.names, *self.declared}
        return [str(name) for name in self.metadata.columns if name not in own]


def _record(plain: Mapping[str, Any], status: str, reason: str | None, patches: int) -> SceneRecord:
    return SceneRecord(
        scene_id=str(plain["scene_id"]),
        status=status,
        patches=patches,
        reason=reason,
        source=str(plain.get("source") or ""),
        region=str(plain.get("region") or NO_REGION),
        date=plain.get("date"),
        clipped=dict(plain.get("clipped") or []),
    )


def _plain(cell: Any) -> Any:
    """A cell of a frame as a row holds it; NaN and NaT are None."""
    if isinstance(cell, np.ndarray | list):
        return [float(item) for item in cell]
    if cell is None or cell is pd.NaT or (isinstance(cell, float) and np.isnan(cell)):
        return None
    return cell.item() if isinstance(cell, np.generic) else cell


def _scenes(root: Path) -> dict[str, Mapping[str, Any]]:
    path = root / layout.SCENES
    if not path.is_file():
        return {}
    try:
        rows = pq.read_table(path).to_pylist()
        return {str(row["scene_id"]): row for row in rows if row["status"] in (DONE, LEFT_OUT)}
    except (pa.ArrowException, OSError, KeyError) as error:
        raise UserError(f"{path} cannot be read ({type(error).__name__}).") from None


def _labels(root: Path) -> dict[str, list[Mapping[str, Any]]]:
    """Label polygons by the scene that they name; those of no scene are nobody's."""
    path = root / layout.LABELS
    if not path.is_file():
        return {}
    try:
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({type(error).__name__}).") from None
    found: dict[str, list[Mapping[str, Any]]] = {}
    for feature in features:
        found.setdefault(str((feature.get("properties") or {}).get("sample_id")), []).append(feature)
    return found


def _alike(data: TrainData, root: Path) -> bool:
    """Whether chunks of the set are those that the writer would make: same types, codecs and shapes."""
    if "checksum" not in data.metadata or data.metadata["checksum"].isna().any():
        return False
    pairs = zip((data.x, data.y), open_arrays(root), strict=True)
    return all(_layout(ours) == _layout(theirs) for ours, theirs in pairs)


def _layout(array: Any) -> dict[str, Any]:
    plain: dict[str, Any] = array.metadata.to_dict()
    return {k: v for k, v in plain.items() if k not in ("shape", "attributes", "chunk_key_encoding")} | {
        "inner": plain["shape"][1:]
    }


def _copied(data: TrainData, root: Path, config: SetConfig, source: _Source, part: _Part) -> StagedTile:
    """The patches of a part, their chunks copied to where they are staged. UserError where one is missing."""
    directory = root / layout.JOURNAL / layout.STAGING / "copy"
    remove_tree(directory)
    PatchArrays.create(directory, config)
    for place, row in enumerate(part.rows):
        copy_patch(data, row, directory, place)
    rows = [source.row(row) for row in part.rows]
    return StagedTile(part.scene_id, part.number, rows, source.checksums(part.rows), directory)


def copy_patch(data: TrainData, row: int, directory: Path, place: int) -> None:
    """Copy the chunks of patch `row`, of x, y and where it is there `valid`, to patch `place` of a set like it.

    Raises UserError where one is missing.
    """
    target, _ = open_arrays(directory)
    encode_key = target.metadata.encode_chunk_key
    for name, array in zip(ARRAYS, (data.x, data.y, data.valid), strict=True):
        if array is None:
            continue
        source = chunk_path(data.root, name, array, row)
        try:
            shutil.copyfile(source, directory / layout.DATA / name / encode_key((place, *[0] * (array.ndim - 1))))
        except FileNotFoundError:
            raise UserError(f"{data.root / layout.DATA / name}: patch {row} is missing; make the set anew.") from None


def _write_added(root: Path, source: _Source, rows: np.ndarray) -> None:
    """Columns that were added to the set, for the patches that are kept; they join the table when it is written."""
    if source.added:
        frame = source.metadata.iloc[rows][[*_KEYS, *source.added]]
        write_parquet(root / layout.ADDED, pa.Table.from_pandas(frame, preserve_index=False))
