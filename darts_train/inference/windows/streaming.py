"""A model over a scene of any size: a row of windows at a time, blended, given out as rows of pixels are finished.

Three things happen at once: threads read what comes next, another runs the network, and the caller's blends and writes
what was found. Memory is that of one row of windows, whatever the height of the scene: a pixel is finished when no
later window counts there, and leaves.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from darts_train.base.ahead import ahead
from darts_train.features.stack import FeatureStack
from darts_train.inference.models import MapModel
from darts_train.inference.windows.reading import Piece, Preview, Reader, Source, read_area
from darts_train.inference.windows.symmetries import Probabilities, augmented
from darts_train.models.cpu_threads import shared_cores
from darts_train.raster.blending import Part, take_in
from darts_train.raster.cutting import Cut
from darts_train.scenes.scene import Scene

__all__ = ["Mapper", "Preview", "Rows", "read_area"]

ROWS_VALUES = 2**22  # probabilities that are given out at once: 16 MB


@dataclass(frozen=True)
class Rows:
    """Finished rows of a map: probabilities float32 [k, rows, width] and valid bool [rows, width] from row `y` on."""

    y: int
    probabilities: npt.NDArray[np.float32]
    valid: npt.NDArray[np.bool_]


@dataclass
class Mapper:
    """How a scene is mapped: model, bands, windows, and how these are joined (see `Cut` and `augmented`)."""

    model: MapModel
    stack: FeatureStack
    window_size: int
    overlap: int
    batch: int
    halo: int = 0
    blend: str = "linear"
    tta: str = "none"
    tta_merge: str = "mean"
    readers: int = 1
    colours: tuple[int, int, int] = field(init=False)

    def __post_init__(self) -> None:
        names = list(self.model.spec.names)
        wanted = [names.index(name) for name in ("red", "green", "blue") if name in names]
        spare = [min(i, len(names) - 1) for i in range(3)]
        self.colours = tuple(wanted if len(wanted) == 3 else spare)  # type: ignore[assignment]

    @property
    def cut(self) -> Cut:
        """How an axis of a scene is cut into windows."""
        return Cut(self.window_size, self.overlap, self.halo, self.model.stride, self.blend)

    def window_count(self, scene: Scene) -> int:
        """Windows that a scene is cut into."""
        return len(self.cut.parts(scene.grid.height)) * len(self.cut.parts(scene.grid.width))

    def row_count(self, scene: Scene) -> int:
        """How many times `run` gives out rows of a scene."""
        return sum(len(_portions(y, stop, self._rows_at_once(scene))) for y, stop in self._finished(scene))

    def run(self, scene: Scene, preview: Preview, first: int = 0) -> Iterator[Rows]:
        """The map of a scene, from pixel row `first` to its last; the same whatever `first` is.

        A pixel is valid where its quality is not 0 and every band of the model has data: elsewhere the network has
        learned nothing. Raises UserError where the scene cannot be read.
        """
        rows, columns = self.cut.parts(scene.grid.height), self.cut.parts(scene.grid.width)
        skipped = sum(part.last <= first for part in rows)
        source = Source(scene, self.stack, self.model.spec.bands, self.colours)
        reader = Reader(source, self.window_size, rows, columns, self.readers)
        lanes = self.model.lanes(self.window_size, self.batch)
        batches = _batches(reader.pieces(preview, skipped), lanes.windows)
        with shared_cores(lanes.threads) as begin:
            found = ahead(self._inferred, batches, lanes.count, begin=begin)
            try:
                yield from self._joined(scene, rows, columns, skipped, first, found)
            finally:
                found.close()

    def _inferred(self, batch: list[Piece]) -> list[tuple[Piece, Probabilities | None]]:
        """Pieces with their probabilities float32 [k, s, s], and None where there is no data."""
        codes = [piece.codes for piece in batch if piece.codes is not None]
        if not codes:
            return [(piece, None) for piece in batch]
        found = iter(augmented(self.model.probabilities, np.stack(codes), self.tta, self.tta_merge))
        return [(piece, None if piece.codes is None else next(found)) for piece in batch]

    def _joined(
        self,
        scene: Scene,
        rows: list[Part],
        columns: list[Part],
        row: int,
        first: int,
        found: Iterator[list[tuple[Piece, Probabilities | None]]],
    ) -> Iterator[Rows]:
        width, nothing = scene.grid.width, np.zeros((self.model.channels, 1, 1), np.float32)
        height = max(part.last - part.first for part in rows)
        strip, valid = np.zeros((self.model.channels, height, width), np.float32), np.zeros((height, width), bool)
        carried = strip[:, :0].copy()
        finished = self._finished(scene)
        for piece, probabilities in (pair for batch in found for pair in batch):
            down, across = rows[piece.row], columns[piece.column]
            new = nothing if probabilities is None else probabilities[:, down.inside, across.inside]
            _add(strip[:, : down.last - down.first, across.first : across.last], new, across.shares)
            valid[: down.last - down.first, across.first : across.last] = piece.known
            if piece.column < len(columns) - 1:
                continue
            if carried.shape[1]:
                take_in(carried, strip[:, : carried.shape[1]], down.shares[:, None])
                strip[:, : carried.shape[1]] = carried
            start, stop = finished[piece.row]
            for y, after in _portions(max(start, first), stop, self._rows_at_once(scene)):
                some = slice(y - start, after - start)
                yield Rows(y, strip[:, some].copy(), valid[some].copy())
            carried = strip[:, stop - start : down.last - start].copy()

    def _finished(self, scene: Scene) -> list[tuple[int, int]]:
        """First and last but one row of pixels that each row of windows finishes."""
        firsts = [part.first for part in self.cut.parts(scene.grid.height)]
        return list(pairwise([*firsts, scene.grid.height]))

    def _rows_at_once(self, scene: Scene) -> int:
        return max(1, ROWS_VALUES // (self.model.channels * scene.grid.width))


def _add(mean: npt.NDArray[np.float32], new: Probabilities, shares: npt.NDArray[np.float32]) -> None:
    """Join a window to the row that it is in: a mean where earlier ones count, too, and itself beyond."""
    new = np.broadcast_to(new, mean.shape)
    take_in(mean[..., : len(shares)], new[..., : len(shares)], shares)
    mean[..., len(shares) :] = new[..., len(shares) :]


def _batches(pieces: Generator[Piece], size: int) -> Generator[list[Piece]]:
    """Pieces in lists in which at most `size` have codes, and so are held at once."""
    batch: list[Piece] = []
    try:
        for piece in pieces:
            batch.append(piece)
            if sum(one.codes is not None for one in batch) == size or len(batch) == 16 * size:
                yield batch
                batch = []
        if batch:
            yield batch
    finally:
        pieces.close()


def _portions(start: int, stop: int, at_once: int) -> list[tuple[int, int]]:
    """From start to stop in parts of at most `at_once`."""
    return list(pairwise([*range(start, stop, at_once), stop])) if start < stop else []
