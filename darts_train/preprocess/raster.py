"""Train data from pairs of an image and its labels: the command preprocess-raster-train-data."""

from collections.abc import Mapping, Sequence

from darts_train.base.errors import UserError, listing
from darts_train.base.files import require_writable
from darts_train.base.log import logger
from darts_train.dataset.schema import SceneRecord
from darts_train.dataset.set_config import SetConfig
from darts_train.features.stack import FeatureStack
from darts_train.options.masking import Masking
from darts_train.options.pairing import Pairing
from darts_train.options.photos import Photos
from darts_train.options.preprocessing import Output, Parallel, Patches, Raster
from darts_train.preprocess.checks import check_classes, check_size, check_usable
from darts_train.preprocess.job import Job, left_out, plain_settings
from darts_train.preprocess.measures import MEASURES, columns_of
from darts_train.preprocess.pairs import Pair, find_pairs
from darts_train.preprocess.patching import Recipe, Sample
from darts_train.preprocess.photos import (
    check_photos,
    fit_samples,
    look_at_pictures,
    mask_values,
    open_all,
    open_labels,
    photo_columns,
)
from darts_train.preprocess.pipeline import run
from darts_train.preprocess.set_bands import earlier_config, set_bands
from darts_train.preprocess.stored_as import stored_as
from darts_train.preprocess.summary import PreprocessSummary
from darts_train.raster.patches import patch_starts
from darts_train.scenes.class_values import parse_remap
from darts_train.scenes.labels import Labels, PolygonLabels, RasterLabels, check_label_raster, polygons_on
from darts_train.scenes.photo_file import open_picture
from darts_train.scenes.polygons import VECTOR_SUFFIXES, class_indices, read_polygons
from darts_train.scenes.raster_scene import RasterScene

COMMAND = "preprocess-raster-train-data"
_log = logger("preprocess")


def preprocess_raster_train_data(
    raster: Raster,
    output: Output,
    patches: Patches,
    parallel: Parallel = Parallel(),
    pairing: Pairing = Pairing(),
    photos: Photos = Photos(),
    masking: Masking = Masking(),
) -> PreprocessSummary:
    """Cut pairs of an image and its labels into a train data directory.

    Labels are rasters on the image's pixels, or polygons anywhere on the earth. Called again with the same settings, it
    adds what is missing.

    Raises:
        UserError: before anything is written where a file is missing, cannot be read or does not fit, a label value
            stands for no class, a band is not there, or the directory has other settings; later where a file turns out
            to be damaged half way (what was committed stays).
    """
    patch_starts(patches.patch_size, patches.patch_size, patches.overlap)  # overlap below patch size
    require_writable(output.train_data_dir, "--train-data-dir")
    check_classes(raster.classes)
    parse_remap(raster.remap, len(raster.classes))
    check_photos(photos, raster, patches)
    pairs = find_pairs(raster)
    labelled = [pair for pair in pairs if pair.label is not None]
    opened = open_all(labelled, lambda pair: _sample(pair, raster, photos), lambda pair: pair.sample_id)
    look_at_pictures(opened, photos, raster.bands)
    _check_values(opened, raster)
    opened = fit_samples(opened, photos, patches.patch_size)
    unlabelled = [left_out(pair.sample_id, "no labels", pair.source) for pair in pairs if pair.label is None]
    samples, small = _large_enough(opened, patches)
    records = unlabelled + small
    check_usable(samples, records)
    scenes = [sample.scene for sample in samples]
    stack = FeatureStack(raster.bands or tuple(scenes[0].bands))
    earlier = earlier_config(output.train_data_dir, output.overwrite)
    bands = set_bands(stack, scenes, earlier, raster.optical_range)
    config = SetConfig(
        bands=bands,
        patch_size=patches.patch_size,
        classes=raster.classes,
        command=COMMAND,
        columns=(*columns_of(MEASURES), *photo_columns(photos)),
        settings=plain_settings(raster, pairing, photos, masking, patches),
        stored_as=stored_as(bands, scenes, earlier),
    )
    return run(
        Job(samples, unlabelled, Recipe(stack, bands, patches, raster.mask_erosion_size), config, output, parallel)
    )


def _sample(pair: Pair, raster: Raster, photos: Photos) -> Sample:
    assert pair.label is not None
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
    )
    vector = pair.label.suffix.lower() in VECTOR_SUFFIXES
    labels = _polygon_labels(pair, scene, raster) if vector else _raster_labels(pair, scene, raster, photos)
    return Sample(scene, labels, pair.source, (pair.image, pair.label))


def _large_enough(samples: Sequence[Sample], patches: Patches) -> tuple[list[Sample], list[SceneRecord]]:
    """Samples that may be cut, and records of those that are too small."""
    kept, records = [], []
    for sample in samples:
        try:
            check_size(sample.scene, patches)
            kept.append(sample)
        except UserError as error:
            records.append(left_out(sample.scene.scene_id, str(error), sample.source))
    return kept, records


def _raster_labels(pair: Pair, scene: RasterScene, raster: Raster, photos: Photos) -> Labels:
    assert pair.label is not None
    file = open_labels(pair.label, photos)
    check_label_raster(scene.file, file)
    count = len(raster.classes)
    mapping = mask_values(photos, count) or parse_remap(raster.remap, count)
    nodata = file.nodata[0]
    if raster.remap is None and nodata in mapping:
        _log.warning(
            "%s says that %g is no data, so it is ignored; name it in --remap to make it a class", file.path, nodata
        )
    return RasterLabels(file, mapping, mapping_first=raster.remap is not None)


def _polygon_labels(pair: Pair, scene: RasterScene, raster: Raster) -> Labels:
    assert pair.label is not None
    polygons = read_polygons(pair.label, None, raster.class_column)
    if polygons.mended or polygons.dropped:
        _log.warning("%s: %d invalid polygons mended, %d empty left out", pair.label, polygons.mended, polygons.dropped)
    classes = class_indices(polygons, raster.classes, raster.class_column)
    geometries = polygons_on(scene.grid, polygons.geometries, polygons.crs, polygons.source)
    return PolygonLabels(scene.grid, geometries, classes)


def _check_values(samples: Sequence[Sample], raster: Raster) -> None:
    """Raise UserError, with values and counts, where label rasters hold what stands for no class."""
    totals: dict[float, int] = {}
    first: dict[float, str] = {}
    for sample in samples:
        if isinstance(sample.labels, RasterLabels):
            for value, pixels in sample.labels.census().items():
                totals[value] = totals.get(value, 0) + pixels
                first.setdefault(value, str(sample.labels.file.path))
    if not totals:
        return
    values = [f"{value:g} ({totals[value]} pixels, {first[value]})" for value in sorted(totals)]
    raise UserError(f"Label values that stand for no class: {listing(values, 4)}. {_how_to_map(raster, totals)}")


def _how_to_map(raster: Raster, totals: Mapping[float, int]) -> str:
    if len(totals) > 20:
        return "So many values look like a picture rather than labels; --mask-threshold is for grey masks."
    return f"Classes are 0 to {len(raster.classes) - 1}; say with --remap what these values are (-100: ignore)."
