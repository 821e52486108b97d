"""What is finished of a map that is not: strips of rows and a journal, which a killed prediction leaves and the next
one of the same settings takes up.

{out_dir}/.{scene_id}.unfinished/journal.json       settings, heights of the strips that are whole
                                 probabilities/{y}.tif, classes/{y}.tif
                                 preview.bin

A strip counts once the journal names it, which happens when both of its files are on the disk. Windows that reach
into rows that are missing are run again, so each pixel is the sum of the same windows in the same order.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from darts_train.base.errors import UserError
from darts_train.base.files import remove_tree, write_bytes, write_json
from darts_train.base.locks import exclusive_lock
from darts_train.base.log import logger
from darts_train.inference.models import MapModel
from darts_train.inference.windows.streaming import Preview, Rows
from darts_train.inference.writing.rasters import NODATA, percent, tiff
from darts_train.raster.grid import Grid

STRIP_ROWS = 256  # at least; fewer would be many files
_CHUNK_PIXELS = 2**21
_JOURNAL, _LOCK, _PREVIEW = "journal.json", "lock", "preview.bin"
_log = logger("inference")


_Bytes = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]  # percents [k, h, w] and classes [h, w]


def _in_bytes(part: Rows, model: MapModel, threshold: float | None) -> _Bytes:
    """What is written of rows, some at a time: floats beside the floats that are there would double them."""
    channels, height, width = part.probabilities.shape
    percents, classes = np.empty((channels, height, width), np.uint8), np.empty((height, width), np.uint8)
    step = max(1, _CHUNK_PIXELS // width)
    for top in range(0, height, step):
        rows = slice(top, top + step)
        chances, valid = part.probabilities[:, rows], part.valid[rows]
        percents[:, rows] = percent(chances, valid)
        classes[rows] = np.where(valid, model.decide(chances, threshold), np.uint8(NODATA))
    return percents, classes


@dataclass
class Unfinished:
    """A map in work: `heights` of its finished strips, from the top."""

    directory: Path
    key: str
    grid: Grid
    heights: list[int] = field(default_factory=list)
    preview: Preview = field(init=False)

    @property
    def rows(self) -> int:
        """Finished rows."""
        return sum(self.heights)

    def strips(self, kind: str) -> tuple[tuple[Path, int], ...]:
        """Files (`probabilities` or `classes`) and heights of all strips."""
        tops = np.cumsum([0, *self.heights])
        return tuple((self._file(kind, int(top)), height) for top, height in zip(tops, self.heights, strict=False))

    def take(self, rows: Iterable[Rows], model: MapModel, threshold: float | None) -> Iterator[int]:
        """Keep rows that are not finished yet, strip by strip; gives the first row of each part that was taken."""
        waiting: list[_Bytes] = []
        for part in rows:
            if part.y >= self.rows:
                waiting.append(_in_bytes(part, model, threshold))
                height = sum(len(classes) for _, classes in waiting)
                if height >= STRIP_ROWS or self.rows + height == self.grid.height:
                    self._keep(waiting)
                    waiting.clear()
            yield part.y

    def _keep(self, parts: list[_Bytes]) -> None:
        """Write a strip, one file after the other: a scene of 100 000 columns has 40 MB in each."""
        self._write("probabilities", [percents for percents, _ in parts])
        self._write("classes", [classes[None] for _, classes in parts])
        self.heights.append(sum(len(classes) for _, classes in parts))
        self._save()

    def _write(self, kind: str, parts: list[npt.NDArray[np.uint8]]) -> None:
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        write_bytes(self._file(kind, self.rows), tiff(whole))

    def _file(self, kind: str, top: int) -> Path:
        return self.directory / kind / f"{top:08d}.tif"

    def _save(self) -> None:
        counts = {"clipped": self.preview.clipped, "pixels": self.preview.pixels}
        write_json(self.directory / _JOURNAL, {"key": self.key, "heights": self.heights, **counts})

    def load(self) -> None:
        """Take up what an earlier process left where its settings were these; else begin anew."""
        found = _journal(self.directory / _JOURNAL)
        if found is not None and found["key"] == self.key:
            self.heights = found["heights"]
        files = [path for kind in ("probabilities", "classes") for path, _ in self.strips(kind)]
        if not files or not all(path.is_file() for path in files):
            self.heights = []
            for path in self.directory.iterdir():
                if path.name != _LOCK:
                    remove_tree(path)
        self.preview = self._preview()
        if self.heights and found is not None:
            self.preview.clipped, self.preview.pixels = found["clipped"], found["pixels"]
            _log.info("%s: goes on at row %d of %d", self.directory.name, self.rows, self.grid.height)

    def _preview(self) -> Preview:
        """A preview in a file, which outlives the process."""
        path = self.directory / _PREVIEW

        def kept(shape: tuple[int, int, int]) -> npt.NDArray[np.float32]:
            if not path.exists():
                write_bytes(path, np.full(shape, np.nan, np.float32).tobytes())
            return np.memmap(path, np.float32, "r+", shape=shape)

        return Preview.of(self.grid, kept)


def _journal(path: Path) -> dict[str, Any] | None:
    """What the journal says; None where there is none that can be read."""
    try:
        found = json.loads(path.read_bytes())
        return {name: found[name] for name in ("key", "heights", "clipped", "pixels")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def unfinished_map(place: Path, key: str, grid: Grid) -> Iterator[Unfinished]:
    """What is finished of the map that is to lie in `place`; it goes when the block ends well, and stays otherwise.

    `key` says all that decides the map. Raises UserError where another process is at work on the same map, OSError
    where the disk takes no more.
    """
    directory = place.with_name(f".{place.name}.unfinished")
    with exclusive_lock(directory / _LOCK, str(place)):
        work = Unfinished(directory, key, grid)
        try:
            work.load()
            yield work
        except BaseException as error:
            if not work.heights:
                remove_tree(directory)
            elif isinstance(error, UserError):
                _log.info("%s: %d of %d rows are finished and kept", place, work.rows, grid.height)
            raise
        remove_tree(directory)
