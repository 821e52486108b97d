"""Pictures on their way to train data: what their options mean, and what is said of them before the work."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.dataset.columns import Column
from darts_train.options.photos import Photos
from darts_train.options.preprocessing import Patches, Raster
from darts_train.preprocess.patching import Sample
from darts_train.raster.resampling import fitted_size
from darts_train.scenes.labels import RasterLabels
from darts_train.scenes.photos.file import PictureFile
from darts_train.scenes.photos.fit import FittedLabels, FittedScene, fitted_grid
from darts_train.scenes.photos.masks import MaskFile, colour_names, open_mask, parse_colours
from darts_train.scenes.raster_file import RasterFile
from darts_train.scenes.raster_scene import RasterScene

LARGEST = 2**27  # pixels of an image that is resampled, which is in memory as a whole
_SHOWN = 20
_log = logger("preprocess")
T = TypeVar("T")
S = TypeVar("S")


def check_photos(photos: Photos, raster: Raster, patches: Patches) -> None:
    """Raise UserError where options contradict each other."""
    given = [
        name
        for name, value in (
            ("--remap", raster.remap),
            ("--mask-threshold", photos.mask_threshold),
            ("--mask-colours", photos.mask_colours),
        )
        if value is not None
    ]
    if len(given) > 1:
        raise UserError(f"{given[0]} and {given[1]} say the same thing twice; give one of them.")
    if photos.mask_threshold is not None and len(raster.classes) != 2:
        raise UserError(f"--mask-threshold makes two classes, --classes names {len(raster.classes)}; use --remap.")
    if photos.mask_colours is not None:
        parse_colours(photos.mask_colours, len(raster.classes))
    if photos.fit in ("letterbox", "pad") and patches.small_images == "skip":
        raise UserError(f"--fit {photos.fit} pads what is smaller than a patch, --small-images skip leaves it out.")


def open_all(items: Sequence[S], open_one: Callable[[S], T], name: Callable[[S], str]) -> list[T]:
    """What was opened of each item, in order.

    Raises UserError after all were tried: the error itself where one cannot be used, else how many, and the names.
    """
    opened, errors = [], {}
    for item in items:
        try:
            opened.append(open_one(item))
        except UserError as error:
            errors[name(item)] = error
    if len(errors) == 1:
        raise next(iter(errors.values()))
    if errors:
        for reason in list(errors.values())[:_SHOWN]:
            _log.warning("%s", reason)
        raise UserError(
            f"{len(errors)} of {len(items)} pairs cannot be used: {listing(errors, 6)}. What is wrong is said above"
            f"{f' of the first {_SHOWN}' if len(errors) > _SHOWN else ''}; mend them, or take them out."
        )
    return opened


def open_labels(path: Path, photos: Photos) -> RasterFile:
    """A label raster, or the mask of a picture as its options say."""
    return open_mask(path, photos.mask_threshold, photos.mask_colours is not None)


def mask_values(photos: Photos, classes: int) -> dict[int, int] | None:
    """What the values of `open_labels` mean where an option of masks says it; None where it does not."""
    if photos.mask_colours is not None:
        return parse_colours(photos.mask_colours, classes)
    return None if photos.mask_threshold is None else {0: 0, 1: 1}


def _check_masks(samples: Iterable[Sample], photos: Photos) -> None:
    """Raise UserError where masks have colours without a class, or where no mask has a value above the threshold."""
    files = [s.labels for s in samples if isinstance(s.labels, RasterLabels) and isinstance(s.labels.file, MaskFile)]
    if photos.mask_colours is not None:
        for labels in files:
            unknown = labels.census()
            if unknown:
                raise UserError(
                    f"{labels.file.path}: colours that stand for no class: {listing(colour_names(unknown), 4)};"
                    " name them in --mask-colours (-100: ignore)."
                )
    if photos.mask_threshold is not None and files:
        _check_threshold([labels.file for labels in files], photos.mask_threshold)


def _check_threshold(files: Iterable[RasterFile], threshold: float) -> None:
    greatest = 0.0
    for file in files:
        greatest = max(greatest, file.greatest() if isinstance(file, MaskFile) else 0.0)
        if greatest > threshold:
            return
    raise UserError(
        f"--mask-threshold: no mask has a value above {threshold:g}, the greatest is {greatest:g};"
        " give a lower one, or none where values are classes."
    )


def photo_columns(photos: Photos) -> tuple[Column, ...]:
    """Columns of the size of an image before it was fitted, pixels; none where images are cut."""
    if photos.fit == "tile":
        return ()
    return Column("original_width", "number"), Column("original_height", "number")


def fit_samples(samples: Sequence[Sample], photos: Photos, patch_size: int) -> list[Sample]:
    """The samples, each as one image that fits into a patch; the same ones where images are cut.

    Raises UserError, with names, where an image is larger than a patch and is to be padded, or too large to resample.
    """
    if photos.fit == "tile":
        return list(samples)
    return open_all(samples, lambda sample: _fitted(sample, photos.fit, patch_size), lambda s: s.scene.scene_id)


def _fitted(sample: Sample, fit: str, side: int) -> Sample:
    scene = sample.scene
    assert isinstance(scene, RasterScene)
    width, height = scene.grid.width, scene.grid.height
    if fit == "pad" and max(width, height) > side:
        raise UserError(
            f"{scene.source}: {width} x {height} pixels are more than a patch of {side}; take --fit letterbox."
        )
    if width * height > LARGEST:
        raise UserError(f"{scene.source}: {width} x {height} pixels are too many to resample at once; use --fit tile.")
    cells = {"original_width": width, "original_height": height}
    sample = replace(sample, columns={**sample.columns, **cells})
    size = fitted_size(fit, width, height, side)
    if size == (width, height):
        return sample
    grid = fitted_grid(scene.grid, *size)
    return replace(sample, scene=FittedScene(scene, grid), labels=FittedLabels(sample.labels, scene.grid, grid))


def look_at_pictures(samples: Sequence[Sample], photos: Photos, bands: Sequence[str] | None) -> None:
    """Say in one line each which pictures are read otherwise than they lie in their files, and check the others.

    Raises UserError where pictures are grey and `bands` (None: those of the first one) are colours, where masks have
    colours without a class, and where no mask has a value above the threshold.
    """
    _say(samples)
    _refuse_grey(samples, bands)
    _check_masks(samples, photos)


def _refuse_grey(samples: Sequence[Sample], bands: Sequence[str] | None) -> None:
    wanted = tuple(bands or (samples[0].scene.bands if samples else ()))
    if not {"red", "green", "blue"} & set(wanted):
        return
    scenes = [sample.scene for sample in samples if isinstance(sample.scene, RasterScene)]
    grey = [scene.source for scene in scenes if scene.file.colours == ("gray",) and not set(wanted) & set(scene.names)]
    if grey:
        raise UserError(
            f"{len(grey)} of {len(samples)} images are grey, of one band, but {listing(wanted, 4)} are asked:"
            f" {listing(grey, 3)}; make them RGB, or take them out."
        )


def _say(samples: Iterable[Sample]) -> None:
    found: dict[str, list[str]] = {}
    for sample in samples:
        for file in _files(sample):
            for what in _otherwise(file):
                found.setdefault(what, []).append(file.path.name)
    for what, names in found.items():
        _log.info("%s: %d (%s)", what, len(names), listing(names, 3))


def _files(sample: Sample) -> list[RasterFile]:
    scene, labels = sample.scene, sample.labels
    files = [scene.file] if isinstance(scene, RasterScene) else []
    if isinstance(labels, RasterLabels):
        files.append((labels.file.picture or labels.file) if isinstance(labels.file, MaskFile) else labels.file)
    return files


def _otherwise(file: RasterFile) -> list[str]:
    if not isinstance(file, PictureFile):
        return []
    says: Mapping[str, bool] = {
        "turned as the EXIF orientation says": file.orientation != 1,
        "read as the colours of a palette": file.palette is not None,
        "read as red, green and blue instead of printing colours (CMYK)": file.inks,
    }
    return [what for what, is_so in says.items() if is_so]
