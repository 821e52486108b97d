"""Pairs of files, opened: the image as a scene, its labels on the image's pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from darts_train.base.errors import UserError
from darts_train.base.log import logger
from darts_train.options.pairing import Pairing
from darts_train.options.photos import Photos
from darts_train.options.preprocessing import Raster
from darts_train.preprocess.pairing.label_values import raster_labels
from darts_train.preprocess.pairing.pair import Pair
from darts_train.preprocess.pairing.photos import open_all, open_labels
from darts_train.preprocess.patching import Sample
from darts_train.scenes.labels import Labels, MisfitError, PolygonLabels, polygons_on
from darts_train.scenes.photos.file import open_picture
from darts_train.scenes.polygons import VECTOR_SUFFIXES, class_indices, read_polygons
from darts_train.scenes.raster_scene import RasterScene

_log = logger("preprocess")


@dataclass(frozen=True)
class Opening:
    """How files are read, what their label values mean, and which bands are marks rather than light."""

    raster: Raster
    pairing: Pairing
    photos: Photos
    mapping: Mapping[int, int]
    marks: Sequence[str] = ()


def open_samples(pairs: Sequence[Pair], opening: Opening) -> list[Sample]:
    """The pairs that have labels, opened, in order.

    Raises UserError, with how many and which, where a file cannot be read or labels do not fit their image.
    """
    labelled = [pair for pair in pairs if pair.label is not None]
    return open_all(labelled, lambda pair: _open(pair, opening), lambda pair: pair.sample_id)


def _open(pair: Pair, opening: Opening) -> Sample:
    assert pair.label is not None
    scene = _scene(pair, opening)
    try:
        labels = _labels(pair.label, scene, opening)
    except MisfitError as error:
        raise UserError(f"{error} --align brings labels onto the pixels of their image.") from None
    return Sample(scene, labels, pair.source, (pair.image, pair.label), pair.columns)


def _scene(pair: Pair, opening: Opening) -> RasterScene:
    raster = opening.raster
    scene = RasterScene.open(
        pair.image,
        raster.band_names,
        raster.scale,
        raster.offset,
        raster.nodata,
        pair.sample_id,
        pair.region,
        pair.group,
        pair.date,
        opener=open_picture,
    ).with_steps(raster.scale, raster.offset)
    scene = scene.as_stored(opening.marks)
    return scene.without_zeros(raster.bands) if opening.pairing.zero_is_nodata else scene


def _labels(path: Path, scene: RasterScene, opening: Opening) -> Labels:
    if path.suffix.lower() in VECTOR_SUFFIXES:
        return _polygon_labels(path, scene, opening.raster)
    named = opening.raster.remap is not None
    return raster_labels(open_labels(path, opening.photos), scene.file, opening.mapping, named, opening.pairing.align)


def _polygon_labels(path: Path, scene: RasterScene, raster: Raster) -> Labels:
    polygons = read_polygons(path, None, raster.class_column)
    if polygons.mended or polygons.dropped:
        _log.warning("%s: %d invalid polygons mended, %d empty left out", path, polygons.mended, polygons.dropped)
    classes = class_indices(polygons, raster.classes, raster.class_column)
    geometries = polygons_on(scene.grid, polygons.geometries, polygons.crs, polygons.source)
    return PolygonLabels(scene.grid, geometries, classes)
