"""What the values of label rasters mean: said, logged, and checked against what the rasters hold."""

from collections.abc import Mapping, Sequence

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.options.pairing import Pairing
from darts_train.options.photos import Photos
from darts_train.options.preprocessing import Raster
from darts_train.preprocess.pairing.photos import mask_values
from darts_train.preprocess.patching import Sample
from darts_train.raster.band import IGNORE_INDEX
from darts_train.scenes.aligned import align
from darts_train.scenes.class_values import could_be_pairs, mapping_text, parse_remap
from darts_train.scenes.labels import RasterLabels, check_label_raster, label_differences
from darts_train.scenes.raster_file import RasterFile

_PICTURE_VALUES = 20  # more values than that are no classes
_log = logger("preprocess")


def label_mapping(raster: Raster, pairing: Pairing, photos: Photos = Photos()) -> dict[int, int]:
    """Label value → class index (or IGNORE_INDEX), as --remap or the options of masks say; a remap is logged.

    Raises UserError as `parse_remap`.
    """
    of_masks = mask_values(photos, len(raster.classes))
    if of_masks is not None:
        return of_masks
    mapping = parse_remap(raster.remap, len(raster.classes), pairing.remap_format)
    if raster.remap is None:
        return mapping
    if pairing.remap_format == "auto" and could_be_pairs(raster.remap, len(raster.classes)):
        pairs = mapping_text(parse_remap(raster.remap, len(raster.classes), "pairs"))
        _log.warning(
            "--remap %s is read as a list; as pairs it would be %s. Say which with --remap-format", raster.remap, pairs
        )
    names = {index: f"{index} ({name})" for index, name in enumerate(raster.classes)} | {IGNORE_INDEX: "ignored"}
    _log.info("label values: %s", ", ".join(f"{value} is {names[index]}" for value, index in mapping.items()))
    return mapping


def raster_labels(
    file: RasterFile, image: RasterFile, mapping: Mapping[int, int], named: bool, bring: bool = False
) -> RasterLabels:
    """A label raster on the pixels of its image.

    `named`: the user named the values of `mapping`, which count even where the file declares one as no data. `bring`:
    a raster on other pixels is brought onto those of the image. Raises UserError as `check_label_raster` and `align`.
    """
    if bring and len(file.indexes) == 1 and label_differences(image, file):
        file = align(file, image)
    check_label_raster(image, file)
    nodata = file.nodata[0]
    if not named and nodata in mapping:
        _log.warning(
            "%s says that %g is no data, so it is ignored; name it in --remap to make it a class", file.path, nodata
        )
    return RasterLabels(file, mapping, mapping_first=named)


def check_values(samples: Sequence[Sample], raster: Raster, pairing: Pairing) -> None:
    """Raise UserError, with values and counts, where label rasters hold what stands for no class.

    With --unmapped ignore that is a warning, and the values are ignored.
    """
    totals: dict[float, int] = {}
    first: dict[float, str] = {}
    for sample in samples:
        if isinstance(sample.labels, RasterLabels):
            for value, pixels in sample.labels.census().items():
                totals[value] = totals.get(value, 0) + pixels
                first.setdefault(value, str(sample.labels.file.path))
    if not totals:
        return
    fractions = [value for value in sorted(totals) if not value.is_integer()]
    if fractions:
        pixels = sum(totals[value] for value in fractions)
        raise UserError(
            f"{first[fractions[0]]}: labels are whole numbers, but {pixels} pixels are fractions such as"
            f" {fractions[0]:g}; if it is a probability, write classes from it first."
        )
    values = listing([f"{value:g} ({totals[value]} pixels, {first[value]})" for value in sorted(totals)], 4)
    if pairing.unmapped == "ignore":
        _log.warning("label values that stand for no class are ignored: %s", values)
        return
    raise UserError(f"Label values that stand for no class: {values}. {_how_to_map(raster, totals)}")


def _how_to_map(raster: Raster, totals: Mapping[float, int]) -> str:
    if len(totals) > _PICTURE_VALUES:
        return "So many values look like a picture rather than labels; --mask-threshold is for grey masks."
    return (
        f"Classes are 0 to {len(raster.classes) - 1}; say with --remap what these values are (-100: ignore),"
        " or --unmapped ignore."
    )
