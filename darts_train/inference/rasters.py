"""Maps as GeoTIFF: written row by row as they are finished, on the scene's own grid."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning
from rasterio.windows import Window as RasterioWindow

from darts_train.inference.models import MapModel
from darts_train.inference.streaming import Rows
from darts_train.raster.grid import Grid

NODATA = 255
BLOCK = 256  # pixels; smaller maps are written in strips
PROBABILITIES, CLASSES = "probabilities.tif", "classes.tif"


def percent(probabilities: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Probabilities [k, h, w] as whole percent uint8, NODATA where not valid [h, w]."""
    whole = np.rint(np.clip(probabilities, 0, 1) * 100).astype(np.uint8)
    return np.where(valid, whole, np.uint8(NODATA))


@dataclass(frozen=True)
class MapWriter:
    """Two open files that take the rows of a map."""

    probabilities: Any
    classes: Any
    model: MapModel
    threshold: float | None

    def write(self, rows: Rows) -> None:
        """Write finished rows to both files."""
        _, height, width = rows.probabilities.shape
        window = RasterioWindow(0, rows.y, width, height)
        self.probabilities.write(percent(rows.probabilities, rows.valid), window=window)
        decided = self.model.decide(rows.probabilities, self.threshold)
        self.classes.write(np.where(rows.valid, decided, np.uint8(NODATA)), 1, window=window)


@contextmanager
def open_maps(directory: Path, grid: Grid, model: MapModel, threshold: float | None) -> Iterator[MapWriter]:
    """Open probabilities.tif and classes.tif in a directory for a map of a grid."""
    names = model.classes[1:] if model.channels == 1 else model.classes
    with (
        _create(directory / PROBABILITIES, grid, [f"probability of {name}, percent" for name in names]) as one,
        _create(directory / CLASSES, grid, ["class"]) as other,
    ):
        other.update_tags(**{f"class_{i}": name for i, name in enumerate(model.classes)})
        yield MapWriter(one, other, model, threshold)


@contextmanager
def open_map(path: Path) -> Iterator[Any]:
    """A map of ours, to be read; that it may have no place on the earth is no reason for a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as dataset:
            yield dataset


@contextmanager
def _create(path: Path, grid: Grid, descriptions: Sequence[str]) -> Iterator[Any]:
    tiled = min(grid.width, grid.height) >= BLOCK
    blocks = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK} if tiled else {}
    place = {"transform": Affine(*grid.transform)} if grid.transform else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path, "w", driver="GTiff", width=grid.width, height=grid.height, count=len(descriptions), dtype="uint8",
            nodata=NODATA, crs=grid.crs, compress="deflate", BIGTIFF="IF_SAFER", **place, **blocks,
        ) as dataset:  # fmt: skip
            for i, text in enumerate(descriptions):
                dataset.set_band_description(i + 1, text)
            yield dataset
