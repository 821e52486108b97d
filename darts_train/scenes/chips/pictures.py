"""Pictures as chips, from files or from bytes in a table: GeoTIFF, PNG, JPG, and a mask of the same size."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import MemoryFile

from darts_train.base.errors import UserError
from darts_train.scenes.chips.chips import BadChip, Chip
from darts_train.scenes.raster_file import check_not_cut

SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
_STRICT = {"GDAL_ERROR_ON_LIBJPEG_WARNING": "YES"}  # the end of a picture that is cut off is no grey


def read_pair(image: Path | bytes, label: Path | bytes | None) -> Chip:
    """Read a picture and its mask. Raises BadChip where one cannot be read, or a mask has several bands."""
    with _opened(image, "image") as dataset:
        if dataset.colorinterp[0] == ColorInterp.palette:
            raise BadChip("image has a palette; save it as red, green, blue")
        if int(dataset.tags().get("EXIF_Orientation", 1)) != 1:
            raise BadChip("image is turned by its EXIF orientation; save it upright")
        bands = [i for i in dataset.indexes if dataset.colorinterp[i - 1] != ColorInterp.alpha]
        values, valid = dataset.read(bands), dataset.read_masks(bands) != 0
    if values.dtype.kind == "f":
        valid &= np.isfinite(values)
    chip = Chip(values, valid, None)
    return chip if label is None else _with_label(chip, label)


def _with_label(chip: Chip, label: Path | bytes) -> Chip:
    with _opened(label, "label") as dataset:
        bands = [i for i in dataset.indexes if dataset.colorinterp[i - 1] != ColorInterp.alpha]
        if len(bands) != 1:
            raise BadChip(f"label has {len(bands)} bands; one is needed")
        values, declared = dataset.read(bands[0]), dataset.nodatavals[bands[0] - 1]
    nodata = int(declared) if declared is not None and float(declared).is_integer() else None
    return Chip(chip.image, chip.valid, values, label_nodata=nodata)


@contextlib.contextmanager
def _opened(source: Path | bytes, what: str) -> Iterator[Any]:
    """A rasterio dataset of a file, or of the bytes of one. GDAL's errors become BadChip."""
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            stack.enter_context(rasterio.Env(**_STRICT))
            if isinstance(source, bytes):
                yield stack.enter_context(stack.enter_context(MemoryFile(source)).open())
                return
            dataset = stack.enter_context(rasterio.open(source))
            check_not_cut(source, dataset)
            yield dataset
    except (RasterioError, UserError) as error:
        reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        raise BadChip(f"{what} cannot be read ({reason})") from None
