"""The classes of a picture as another picture: one channel of bytes in its size, for tools that know no GeoTIFF."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from darts_train.base.errors import UserError
from darts_train.inference.writing.rasters import NODATA, Mosaic, copy_raster

MASK = "classes.png"
CLASS_INDEX = "0,1"  # of --mask-values: 0, 1, and 2, 3, … of further classes


def check_mask_values(values: str, classes: Sequence[str]) -> None:
    """Raise UserError where two values are to say more than two classes."""
    if values != CLASS_INDEX and len(classes) > 2:
        raise UserError(f"--mask-values: {values} tells two classes apart, and the model has {len(classes)}; use 0,1.")


def write_mask(classes: Mosaic, vrt: Path, path: Path, values: str) -> None:
    """Write a PNG of class indices 0 to 254 (`0,1`), or of 0 and 255 (`0,255`); no data is 0."""
    table: dict[int, float] = {i: float(i) for i in range(NODATA)} | {NODATA: 0.0}
    if values != CLASS_INDEX:
        table |= {1: 255}
    copy_raster(replace(classes, bands=("",), nodata=None, table=table).write(vrt), path, "PNG")
