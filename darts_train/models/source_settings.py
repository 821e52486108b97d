"""What a model says of the images that it was trained on (`source`), looked at before an image is read by it."""

import math
from collections.abc import Mapping
from typing import Any

from darts_train.base.errors import UserError

NUMBERS = ("scale", "offset", "nodata", "tpi_outer_radius", "tpi_inner_radius")
LISTS = ("band_names", "optional_bands")


def checked_source(source: Any) -> dict[str, Any]:
    """The settings anew. Raises UserError, beginning with "its config", for what no image can be read with."""
    if not isinstance(source, Mapping):
        raise UserError(f"its config is wrong at source: a table is wanted, not a {type(source).__name__}.")
    for key in NUMBERS:
        _check_number(key, source.get(key))
    for key in LISTS:
        value = source.get(key)
        if value is not None and not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
            raise UserError(f"its config is wrong at source.{key}: a list of names is wanted.")
    return dict(source)


def _check_number(key: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, int | float):
        raise UserError(f"its config is wrong at source.{key}: a number is wanted, not {str(value)[:40]!r}.")
    missing = key == "nodata" and math.isnan(value)  # what images of floats have where they have no data
    if not (math.isfinite(value) or missing) or (key == "scale" and value <= 0):
        wanted = "a number above 0" if key == "scale" else "a finite number"
        raise UserError(f"its config is wrong at source.{key}: {wanted} is wanted, not {value}.")
