"""One scene to one directory of maps, which appears when all of its files are whole.

{out_dir}/{scene_id}/probabilities.tif   percent, 255 no data; one band, or one for each class
classes.tif         class index, 255 no data
classes.png         of a picture without a place: the class, or 255 for the foreground; no data is 0
segments.gpkg       polygons of the foreground classes (segments.parquet)
quicklook.png
map.json            model, scene and settings it was made of

Until then it is a hidden directory of strips beside its place, see unfinished.py.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling

from darts_train.base.directories import appearing_directory
from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.figures.maps import true_colour
from darts_train.figures.quicklook import quicklook
from darts_train.inference.models import MapModel
from darts_train.inference.windows.fitted import map_grid, map_rows
from darts_train.inference.windows.streaming import Mapper, Preview
from darts_train.inference.writing.manifest import MANIFEST, differences, facts, read_manifest, write_manifest
from darts_train.inference.writing.picture_masks import MASK, check_mask_values, write_mask
from darts_train.inference.writing.polygons import segment_files, write_segments
from darts_train.inference.writing.rasters import (
    CLASSES,
    NODATA,
    PROBABILITIES,
    Mosaic,
    band_names,
    class_tags,
    open_map,
    write_cog,
)
from darts_train.inference.writing.room import told_when_unwritable
from darts_train.inference.writing.unfinished import Unfinished, unfinished_map
from darts_train.options.predicting import Maps
from darts_train.scenes.scene import Scene

QUICKLOOK = "quicklook.png"
CLIPPED_SHARE = 0.5  # of a scene's values beyond the encoding, from which the scene is in other units
_log = logger("inference")


@dataclass(frozen=True)
class SceneMap:
    """Files of one map; `polygons` is their number, `megapixels` the size of the scene.

    `segments` is the first file of polygons, None where there is none. `kept` says that the map was there already.
    """

    scene_id: str
    directory: Path
    probabilities: Path
    classes: Path
    segments: Path | None
    quicklook: Path
    polygons: int
    megapixels: float
    seconds: float
    kept: bool = False

    def summary(self) -> str:
        """One line."""
        drawn = "no polygons" if self.segments is None else f"{self.polygons} polygons"
        what = f"{drawn}, {self.megapixels:.1f} Mpx"
        how = "there already, made of the same" if self.kept else f"in {self.seconds:.1f} s"
        return f"{self.directory}: {what}, {how}" if self.kept else f"{self.directory}: {what} {how}"


def check_maps(maps: Maps, scenes: Sequence[Scene], mapper: Mapper) -> None:
    """Raise UserError where an option does not fit the model, or a map of something else is there already."""
    segment_files(maps.polygons)
    check_mask_values(maps.mask_values, mapper.model.classes)
    check_places(maps, scenes, mapper)


def check_places(maps: Maps, scenes: Sequence[Scene], mapper: Mapper | None = None) -> None:
    """Raise UserError where a map is there already, or could not be written. One that `mapper` would make may be.

    What is no map is never replaced.
    """
    require_writable(maps.out_dir, "--out-dir")
    for scene in scenes:
        place = maps.out_dir / scene.scene_id
        if not place.exists():
            continue
        if maps.overwrite:
            _require_map(place)
            continue
        found = None if mapper is None else facts(mapper, scene, maps)
        if found is None or _finished(place, found) is None:
            why = f" ({differences(place, found)})" if found else ""
            raise UserError(f"--out-dir: {place} is there already{why}; give --overwrite to replace it.")


def _require_map(place: Path) -> None:
    files = any((place / name).is_file() for name in (MANIFEST, CLASSES))
    if not files and not (place.is_dir() and not any(place.iterdir())):
        raise UserError(f"--out-dir: {place} is no map, so it is not replaced; name another directory.")


def map_scenes(mapper: Mapper, scenes: Sequence[Scene], maps: Maps) -> Iterator[SceneMap]:
    """Map scenes one after the other, each when it is asked for; one whose map is there already is not done again.

    Raises UserError where a file turns out to be damaged, or the disk is full. Maps of scenes that were finished stay,
    and so do finished strips of the others, for the next call of the same settings.
    """
    for scene in scenes:
        found = facts(mapper, scene, maps)
        there = None if maps.overwrite else _finished(maps.out_dir / scene.scene_id, found)
        yield there or _map_scene(maps, mapper, scene, found)


def _finished(place: Path, found: dict[str, Any]) -> SceneMap | None:
    """The map in a directory, where it was made of the same."""
    there = read_manifest(place)
    if there is None or there["key"] != found["key"]:
        return None
    return _scene_map(place, there, 0.0, kept=True)


def _scene_map(place: Path, manifest: dict[str, Any], seconds: float, kept: bool = False) -> SceneMap:
    results = manifest["results"]
    segments = segment_files(manifest["maps"]["polygons"])
    return SceneMap(
        scene_id=manifest["scene"],
        directory=place,
        probabilities=place / PROBABILITIES,
        classes=place / CLASSES,
        segments=place / segments[0] if segments else None,
        quicklook=place / QUICKLOOK,
        polygons=results["polygons"],
        megapixels=results["width"] * results["height"] / 1e6,
        seconds=seconds,
        kept=kept,
    )


def _map_scene(maps: Maps, mapper: Mapper, scene: Scene, found: dict[str, Any]) -> SceneMap:
    started = time.monotonic()
    place = maps.out_dir / scene.scene_id
    with told_when_unwritable(place), unfinished_map(place, found["key"], map_grid(scene)) as work:
        rows = map_rows(mapper, scene, work.preview, work.rows)
        for _ in track(work.take(rows, mapper.model, maps.threshold), f"map {scene.scene_id}", mapper.row_count(scene)):
            pass
        _warn_of_units(scene, work.preview)
        with appearing_directory(place) as directory:
            _write(directory, work, scene, mapper.model, maps, found)
    return _scene_map(place, read_manifest(place) or found, time.monotonic() - started)


def _write(directory: Path, work: Unfinished, scene: Scene, model: MapModel, maps: Maps, found: dict[str, Any]) -> None:
    """All files of a map from its strips."""
    grid, preview = work.grid, work.preview
    chances = Mosaic(grid, work.strips("probabilities"), band_names(model.classes), {})
    classes = Mosaic(grid, work.strips("classes"), ("class",), class_tags(model.classes))
    write_cog(chances, work.directory / "probabilities.vrt", directory / PROBABILITIES, "average")
    write_cog(classes, work.directory / "classes.vrt", directory / CLASSES, "mode")
    if grid.transform is None:
        write_mask(replace(classes, tags={}), work.directory / "mask.vrt", directory / MASK, maps.mask_values)
    polygons = write_segments(directory, grid, model.classes, maps.min_object_size, maps.polygons)
    (directory / QUICKLOOK).write_bytes(_quicklook(directory, scene, preview, model))
    files = sorted(path.name for path in directory.iterdir())
    write_manifest(directory, found, polygons=polygons, width=grid.width, height=grid.height, files=files)


def _warn_of_units(scene: Scene, preview: Preview) -> None:
    """Say where a scene seems to be in other units than the train data: most values are beyond their encoding."""
    if not preview.pixels:
        _log.warning("%s: no pixel has data in any band; the map is empty", scene.source)
    elif preview.clipped > CLIPPED_SHARE * preview.pixels:
        share = preview.clipped / preview.pixels
        _log.warning(
            "%s: %.0f %% of its values are beyond those of the train data; is --scale right?", scene.source, 100 * share
        )


def _quicklook(directory: Path, scene: Scene, preview: Preview, model: MapModel) -> bytes:
    shape = preview.values.shape[1:]
    classes = _decimated(directory / CLASSES, shape)[0]
    probabilities = _decimated(directory / PROBABILITIES, shape)
    best = np.where(probabilities == NODATA, 0, probabilities).max(axis=0) / np.float32(100)
    chosen = np.where(classes == NODATA, np.nan, best).astype(np.float32)
    return quicklook(true_colour(*preview.values), classes, chosen, model.classes, scene.scene_id)


def _decimated(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    with open_map(path) as dataset:
        found: npt.NDArray[np.uint8] = dataset.read(out_shape=(dataset.count, *shape), resampling=Resampling.nearest)
    return found
