"""Train data from pairs of an image and its labels: the command preprocess-raster-train-data."""

from collections.abc import Mapping, Sequence
from typing import Any

from darts_train.base.errors import UserError, listing
from darts_train.base.files import require_writable
from darts_train.base.log import logger
from darts_train.dataset.schema import SceneRecord
from darts_train.dataset.set_config import SetConfig
from darts_train.features.masking import rules_of
from darts_train.features.names import check_clear, expand
from darts_train.features.stack import FeatureStack
from darts_train.options.masking import Masking
from darts_train.options.pairing import PART, Pairing
from darts_train.options.photos import Photos
from darts_train.options.preprocessing import Output, Parallel, Patches, Raster
from darts_train.preprocess.checks import check_classes, check_size, check_usable
from darts_train.preprocess.job import Job, changed_settings, left_out, plain_settings
from darts_train.preprocess.measures import MEASURES, columns_of
from darts_train.preprocess.pairing.label_values import check_values, label_mapping
from darts_train.preprocess.pairing.pairs import find_pairs
from darts_train.preprocess.pairing.photos import check_photos, fit_samples, look_at_pictures, photo_columns
from darts_train.preprocess.pairing.samples import Opening, open_samples
from darts_train.preprocess.patching import Recipe, Sample
from darts_train.preprocess.pipeline import run
from darts_train.preprocess.quality_measures import quality_measures
from darts_train.preprocess.set_bands import earlier_config, set_bands
from darts_train.preprocess.stored_as import stored_as
from darts_train.preprocess.summary import PreprocessSummary
from darts_train.raster.patches import patch_starts
from darts_train.scenes.class_values import mapping_text
from darts_train.scenes.raster_scene import RasterScene
from darts_train.scenes.scene import Scene

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
    patch_starts(patches.patch_size, patches.patch_size, patches.shared)  # overlap below patch size
    require_writable(output.train_data_dir, "--train-data-dir")
    check_classes(raster.classes)
    mapping = label_mapping(raster, pairing, photos)
    check_photos(photos, raster, patches)
    found = find_pairs(raster, pairing)
    opened = open_samples(found.pairs, Opening(raster, pairing, photos, mapping, rules_of(vars(masking)).marks))
    look_at_pictures(opened, photos, raster.bands)
    check_values(opened, raster, pairing)
    opened = fit_samples(opened, photos, patches.patch_size)
    unlabelled = [left_out(pair.sample_id, "no labels", pair.source) for pair in found.pairs if pair.label is None]
    samples, small = _large_enough(opened, patches)
    records = unlabelled + small
    check_usable(samples, records)
    scenes = [sample.scene for sample in samples]
    stack = _stack(raster, masking, scenes)
    earlier = earlier_config(output.train_data_dir, output.overwrite)
    bands = set_bands(stack, scenes, earlier, raster.optical_range)
    measures = (*MEASURES, *quality_measures(scenes, stack.rules))
    said = mapping if raster.remap is not None and (earlier is None or "label_mapping" in earlier.settings) else None
    config = SetConfig(
        bands=bands,
        patch_size=patches.patch_size,
        classes=raster.classes,
        command=COMMAND,
        columns=(*found.columns, *columns_of(measures), *photo_columns(photos)),
        settings=_settings(raster, pairing, photos, masking, patches) | _found(scenes, said),
        stored_as=stored_as(bands, scenes, earlier),
    )
    recipe = Recipe(stack, bands, patches, raster.mask_erosion_size, measures)
    return run(Job(samples, unlabelled, recipe, config, output, parallel))


def _bands_of(scenes: Sequence[Scene]) -> tuple[str, ...]:
    """Bands of the first image, where nobody chose any. Raises UserError where another has none of them."""
    names = tuple(scenes[0].bands)
    for scene in scenes[1:]:
        if set(names).isdisjoint(scene.bands):
            raise UserError(
                f"{scenes[0].source} has {listing(names)}, but {scene.source} has {listing(scene.bands)}; images of one"
                " set have the same bands: name them with --band-names, or leave the others out."
            )
    return names


def _settings(raster: Raster, pairing: Pairing, photos: Photos, masking: Masking, patches: Patches) -> dict[str, Any]:
    """The options that decide the set."""
    return plain_settings(raster, photos, masking, patches) | changed_settings(pairing, leave=PART)


def _found(scenes: Sequence[Scene], mapping: Mapping[int, int] | None) -> dict[str, Any]:
    """What options were taken for: the label values (None: sets of older make do not say), and steps of floats."""
    steps = any(isinstance(scene, RasterScene) and scene.declared is not None for scene in scenes)
    found = {"label_mapping": None if mapping is None else mapping_text(mapping), "float_steps": steps or None}
    return {key: value for key, value in found.items() if value is not None}


def _stack(raster: Raster, masking: Masking, scenes: Sequence[Scene]) -> FeatureStack:
    names = expand(raster.bands) if raster.bands else _bands_of(scenes)
    check_clear(names, tuple(scenes[0].bands))
    stack = FeatureStack(names, rules=rules_of(vars(masking)))
    stack.check_rules(scenes[0])
    return stack


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
