"""One scene to one directory of maps, which appears when all of its files are whole.

{out_dir}/{scene_id}/probabilities.tif   percent, 255 no data; one band, or one for each class
classes.tif         class index, 255 no data
segments.gpkg       polygons of the foreground classes
quicklook.png
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rasterio.enums import Resampling

from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.base.log import logger
from darts_train.base.progress import track
from darts_train.figures.maps import true_colour
from darts_train.figures.quicklook import quicklook
from darts_train.inference.directories import appearing_directory
from darts_train.inference.models import MapModel
from darts_train.inference.polygons import SEGMENTS, write_segments
from darts_train.inference.rasters import CLASSES, NODATA, PROBABILITIES, open_map, open_maps
from darts_train.inference.streaming import Mapper, Preview
from darts_train.options.predicting import Maps
from darts_train.scenes.scene import Scene

QUICKLOOK = "quicklook.png"
CLIPPED_SHARE = 0.5  # of a scene's values beyond the encoding, from which the scene is in other units
_log = logger("inference")


@dataclass(frozen=True)
class SceneMap:
    """Files of one map; `polygons` is their number, `megapixels` the size of the scene."""

    scene_id: str
    directory: Path
    probabilities: Path
    classes: Path
    segments: Path
    quicklook: Path
    polygons: int
    megapixels: float
    seconds: float


def check_places(maps: Maps, scenes: Sequence[Scene]) -> None:
    """Raise UserError where a map is there already, or could not be written."""
    require_writable(maps.out_dir, "--out-dir")
    for scene in scenes:
        place = maps.out_dir / scene.scene_id
        if place.exists() and not maps.overwrite:
            raise UserError(f"--out-dir: {place} is there already; give --overwrite to replace it.")


def map_scenes(mapper: Mapper, scenes: Sequence[Scene], maps: Maps) -> Iterator[SceneMap]:
    """Map scenes one after the other, each when it is asked for.

    Raises UserError where a file turns out to be damaged, or the disk is full. Maps of scenes that were finished stay.
    """
    for scene in scenes:
        yield _map_scene(maps, mapper, scene)


def _map_scene(maps: Maps, mapper: Mapper, scene: Scene) -> SceneMap:
    started = time.monotonic()
    place = maps.out_dir / scene.scene_id
    preview = Preview.of(scene)
    try:
        with appearing_directory(place) as directory:
            with open_maps(directory, scene.grid, mapper.model, maps.threshold) as writer:
                rows = track(mapper.run(scene, preview), f"map {scene.scene_id}", mapper.row_count(scene))
                for part in rows:
                    writer.write(part)
            _warn_of_units(scene, preview)
            classes = mapper.model.classes
            polygons = write_segments(directory, scene.grid, classes, maps.min_object_size)
            (directory / QUICKLOOK).write_bytes(_quicklook(directory, scene, preview, mapper.model))
    except OSError as error:
        raise UserError(f"{place} cannot be written: {error.strerror or error}.") from error
    return SceneMap(
        scene_id=scene.scene_id,
        directory=place,
        probabilities=place / PROBABILITIES,
        classes=place / CLASSES,
        segments=place / SEGMENTS,
        quicklook=place / QUICKLOOK,
        polygons=polygons,
        megapixels=scene.grid.width * scene.grid.height / 1e6,
        seconds=time.monotonic() - started,
    )


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
