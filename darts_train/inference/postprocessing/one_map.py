"""One map mended: trusted area, classes by neighbourhoods, then by objects, polygons; strip by strip, through files.

Order, the same for every map: quality level, erosion and frame, threshold, median, opening, closing, holes, objects
that touch what is not trusted, small objects. What lies between two steps over objects is kept in a file of its own,
so memory holds a strip, and a few numbers for every object.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RasterioWindow

from darts_train.base.directories import appearing_directory
from darts_train.base.errors import UserError
from darts_train.base.files import write_json
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.base.provenance import now, package_versions
from darts_train.inference.map_files import MapFile
from darts_train.inference.postprocessing.files import create_raster, read_strips, write_strips
from darts_train.inference.postprocessing.local_steps import LocalSteps
from darts_train.inference.postprocessing.objects import drop_objects, fill_holes
from darts_train.inference.postprocessing.quality import Quality
from darts_train.inference.postprocessing.segments import SEGMENTS, write_objects
from darts_train.inference.writing.rasters import CLASSES, NODATA, PROBABILITIES
from darts_train.options.postprocessing import Mending, Trusted
from darts_train.raster.strips import strips

RECORD = "postprocess.json"
STRIP_PIXELS = 2**22  # about as many are in work at once, beside the halo
_log = logger("inference")


@dataclass(frozen=True)
class MendedMap:
    """A mended map: where it is, how many objects it has, and the pixels that each step changed."""

    name: str
    directory: Path
    polygons: int
    changed: dict[str, int]
    seconds: float


@dataclass(frozen=True)
class Recipe:
    """What is done to every map."""

    trusted: Trusted
    mending: Mending
    threshold: float | None

    def local(self, one: MapFile) -> LocalSteps:
        """The steps within neighbourhoods."""
        steps = self.mending
        sides = steps.median, steps.opening, steps.closing
        return LocalSteps(self.trusted.erosion, self.trusted.frame, *sides, len(one.names))


def mend_map(one: MapFile, quality: Quality, recipe: Recipe, place: Path, rows: int | None = None) -> MendedMap:
    """Mend a map into the directory `place`, which appears when all its files are whole.

    `rows`: rows of a strip; None: as many as STRIP_PIXELS allow. Raises UserError where a file is damaged or the
    directory cannot be written; then nothing appears.
    """
    started = time.monotonic()
    rows = rows or max(1, STRIP_PIXELS // max(1, one.grid.width))
    try:
        with appearing_directory(place) as directory:
            work = directory / "work"
            work.mkdir()
            changed = _write_local(one, quality, recipe, work / CLASSES, directory, rows)
            changed |= _write_objects(one, recipe.mending, work, directory / CLASSES, rows)
            left = changed.pop("left")
            shutil.rmtree(work)
            if not left:
                _log.warning("nothing of the map %s is left within the trusted area", one.name)
            polygons = write_objects(directory, one)
            write_json(directory / RECORD, _record(one, quality, recipe, changed, polygons))
    except OSError as error:
        raise UserError(f"{place} cannot be written: {error.strerror or error}.") from error
    return MendedMap(one.name, place, polygons, changed, time.monotonic() - started)


def _write_local(
    one: MapFile, quality: Quality, recipe: Recipe, classes: Path, directory: Path, rows: int
) -> dict[str, int]:
    """Write classes after the steps within neighbourhoods, and masked probabilities; pixels changed, and left."""
    total: dict[str, int] = {"left": 0}
    grid = one.grid

    def mended(chances: Any) -> Iterator[NDArray[np.uint8]]:
        steps = recipe.local(one)
        parts = list(strips(grid.width, grid.height, rows, steps.halo))
        for strip in track(parts, f"mend {one.name}", len(parts)):
            found = one.read(strip.outer, recipe.threshold)
            kept, changed = steps.apply(found, quality.trusted(strip.outer), strip, grid)
            for step, pixels in (changed | {"left": int(np.count_nonzero(kept != NODATA))}).items():
                total[step] = total.get(step, 0) + pixels
            if chances is not None:
                _write_chances(one, strip.inner, kept == NODATA, chances)
            yield kept

    if one.probabilities is None:
        write_strips(classes, grid, mended(None), "class")
        return total
    texts = [text or "probability" for text in one.probabilities.descriptions]
    with create_raster(directory / PROBABILITIES, grid, texts, one.probabilities.dtypes[0]) as dataset:
        write_strips(classes, grid, mended(dataset), "class")
    return total


def _write_chances(one: MapFile, window: Any, hidden: NDArray[np.bool_], dataset: Any) -> None:
    """Copy probabilities of a window, in the unit in which they are stored; no data where `hidden`."""
    assert one.probabilities is not None
    values, valid = one.probabilities.read(range(one.bands), window)
    nothing = np.nan if one.unit else NODATA
    values = np.where(hidden | ~valid.all(axis=0), np.asarray(nothing, values.dtype), values)
    dataset.write(values, window=RasterioWindow(window.x, window.y, window.width, window.height))


def _write_objects(one: MapFile, mending: Mending, work: Path, target: Path, rows: int) -> dict[str, int]:
    """Write the classes after the steps over objects; returns the pixels that each changed."""
    current, changed = work / CLASSES, {}
    smallest, touching = mending.min_object_size, mending.remove_touching_mask
    steps: dict[str, Any] = {}
    if mending.fill_holes:
        steps["holes"] = partial(fill_holes, largest=mending.fill_holes, classes=len(one.names))
    if touching:
        steps["touching"] = partial(drop_objects, smallest=1, touching=True)
    if smallest > 1:
        steps["small"] = partial(drop_objects, smallest=smallest, touching=False)
    for name, step in steps.items():
        following = work / f"{name}.tif"
        write_strips(following, one.grid, step(partial(read_strips, current, rows)), "class")
        changed[name] = _different(current, following, rows)
        current = following
    tags = {f"class_{i}": name for i, name in enumerate(one.names)}
    write_strips(target, one.grid, read_strips(current, rows), "class", **tags)
    return changed


def _different(before: Path, after: Path, rows: int) -> int:
    pairs = zip(read_strips(before, rows), read_strips(after, rows), strict=True)
    return sum(int(np.count_nonzero(one != other)) for one, other in pairs)


def _record(one: MapFile, quality: Quality, recipe: Recipe, changed: dict[str, int], polygons: int) -> dict[str, Any]:
    return {
        "map": one.name,
        "source": one.source.name,
        "classes": list(one.names),
        "quality": None if quality.file is None else quality.file.path.name,
        "quality_level": recipe.trusted.quality_level,
        "mask_erosion_size": recipe.trusted.erosion,
        "edge_erosion_size": recipe.trusted.frame,
        "threshold": recipe.threshold,
        **asdict(recipe.mending),
        "changed_pixels": changed,
        "polygons": polygons,
        "time": now(),
        "versions": package_versions(),
        "files": [CLASSES, SEGMENTS, *([PROBABILITIES] if one.probabilities else [])],
    }
