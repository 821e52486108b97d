"""The journal: what has been committed to a train data directory, one small JSON file per step.

    .journal/config.toml   what the set is; the first file written
    .journal/000000.json   first committed tile (or scene left out), 000001.json the second, …

A fragment appears by an atomic rename after its patches are durable in data.zarr, and is never changed after. So
the fragments alone say how long x and y are, and every other file of the set is a pure function of them: no time,
no host, no temporary name is in any of them. That is why a killed run, resumed, ends byte-identical.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from darts_train.base.errors import UserError
from darts_train.base.files import write_bytes, write_text
from darts_train.dataset.layout import CONFIG, JOURNAL
from darts_train.dataset.schema import DONE, LEFT_OUT, tile_key
from darts_train.dataset.set_config import SetConfig

_NAME = re.compile(r"\d{6,}\.json")


@dataclass(frozen=True)
class Fragment:
    """One committed step, as plain values.

    Attributes:
        scene_id: the scene it belongs to.
        number: tile within the scene; None for a scene that was left out.
        start: first index of its patches in x and y.
        count: number of its patches.
        rows: its patches, as `schema.plain_row` makes them.
        scene: record of the scene, with its last tile; as `schema.plain_scene` makes it.
        labels: GeoJSON features, with the last tile.
    """

    scene_id: str
    number: int | None
    start: int
    count: int
    rows: Sequence[Mapping[str, Any]]
    scene: Mapping[str, Any] | None
    labels: Sequence[Mapping[str, Any]]

    @property
    def end(self) -> int:
        """First index after its patches."""
        return self.start + self.count


class Journal:
    """The committed state of a set, in memory and on disk.

    Attributes:
        fragments: in order, without their patches and labels, which can be many; `rows` and `labels` read them again.
        tiles: keys of the committed tiles.
        scenes: last record of every scene, in the order in which the scenes came first.
    """

    def __init__(self, root: Path) -> None:
        self.directory = root / JOURNAL
        self._forget()

    def _forget(self) -> None:
        self.fragments: list[Fragment] = []
        self.tiles: set[str] = set()
        self.scenes: dict[str, Mapping[str, Any]] = {}

    def _take(self, fragment: Fragment) -> None:
        self.fragments.append(replace(fragment, rows=(), labels=()))
        if fragment.number is not None:
            self.tiles.add(tile_key(fragment.scene_id, fragment.number))
        if fragment.scene is not None:
            self.scenes[fragment.scene_id] = fragment.scene

    def exists(self) -> bool:
        """Whether a set was begun here."""
        return (self.directory / CONFIG).is_file()

    def begin(self, config: SetConfig) -> None:
        """Write what the set is. The first durable step of all."""
        write_text(self.directory / CONFIG, config.to_toml())

    def config(self) -> SetConfig:
        """What the set is. Raises UserError where the file is damaged."""
        return SetConfig.read(self.directory / CONFIG)

    def load(self) -> None:
        """Read all fragments and sweep half-written ones. Raises UserError where one is missing or damaged."""
        for leftover in self.directory.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        self._forget()
        for index, path in enumerate(self._paths()):
            if path != self._path(index):
                raise self._damaged(self._path(index), "is missing")
            fragment = self._read(path)
            if fragment.start != self.patches:
                raise self._damaged(path, f"begins at patch {fragment.start} instead of {self.patches}")
            self._take(fragment)

    def append(self, fragment: Fragment) -> None:
        """Commit one step by the rename of its file."""
        text = json.dumps(vars(fragment), separators=(",", ":"), allow_nan=False)
        write_bytes(self._path(len(self.fragments)), text.encode())
        self._take(fragment)

    @property
    def patches(self) -> int:
        """Number of committed patches: the length that x and y must have."""
        return self.fragments[-1].end if self.fragments else 0

    def patches_of(self, scene_id: str) -> int:
        """Number of committed patches of one scene."""
        return sum(fragment.count for fragment in self.fragments if fragment.scene_id == scene_id)

    def rows(self) -> Iterator[Mapping[str, Any]]:
        """All committed patches, in order, read from disk one fragment at a time."""
        for index, fragment in enumerate(self.fragments):
            if fragment.count:
                yield from self._read(self._path(index)).rows

    def scenes_with(self, status: str) -> set[str]:
        """Ids of the scenes whose last record has this status."""
        return {scene_id for scene_id, record in self.scenes.items() if record["status"] == status}

    def labels(self) -> Iterator[Mapping[str, Any]]:
        """All label features, in order, read from disk one fragment at a time."""
        for index, fragment in enumerate(self.fragments):
            if fragment.scene is not None:
                yield from self._read(self._path(index)).labels

    def _paths(self) -> list[Path]:
        found = [path for path in self.directory.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(path.stem))

    def _path(self, index: int) -> Path:
        return self.directory / f"{index:06d}.json"

    def _read(self, path: Path) -> Fragment:
        try:
            fragment = Fragment(**json.loads(path.read_bytes()))
            if fragment.scene is not None and fragment.scene["status"] not in (DONE, LEFT_OUT):
                raise ValueError("scene without a status")
            if len(fragment.rows) != fragment.count or not isinstance(fragment.labels, list):
                raise ValueError("patches or labels are missing")
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise self._damaged(path, f"is damaged ({error})") from None
        return fragment

    @staticmethod
    def _damaged(path: Path, how: str) -> UserError:
        return UserError(f"{path} {how}: this journal was changed by hand or by a failing disk; use --overwrite.")
