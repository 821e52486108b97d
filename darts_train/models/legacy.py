"""Model files of the operational DARTS programs, read as if written today.

Three generations are about (spec 3.5, 10.1, 10.2). The first says `input_combination` and `norm_factors`,
factors on stored numbers: reflectance as DN, ndvi as (ndvi + 1) · 10000, relative elevation as
(m + 50) · 300. A later one gives lists, `bands`, `band_factors` and `band_offsets`, on the same numbers.
The last gives `bands` alone and means the ranges of the catalogue. All become ranges in physical units, so that
one and the same scene serves old and new models. Such files never said classes: they are binary.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from darts_train.base.errors import UserError, nearest
from darts_train.models.input_spec import InputSpecification
from darts_train.raster.band import Band
from darts_train.raster.catalogue import CATALOGUE, is_reflectance

# value = stored / factor + offset, for bands that the old programs did not store as they are
_STORED = {"ndvi": (10000.0, -1.0), "relative_elevation": (300.0, -50.0)}
_STORED_REFLECTANCE = (10000.0, 0.0)


def is_legacy(config: Mapping[str, Any]) -> bool:
    """Whether a model's config is one of an older program: it names bands but no ranges."""
    return "ranges" not in config and ("bands" in config or "input_combination" in config)


def legacy_specification(config: Mapping[str, Any]) -> InputSpecification:
    """The input specification of an older model. Raises UserError for bands whose meaning nobody wrote down."""
    table = config.get("bands", config.get("input_combination"))
    table = table if isinstance(table, Mapping) else {**config, "bands": table}
    names = table.get("bands")
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UserError("its list of bands cannot be read.")
    factors, offsets = _factors(config, table, list(names))
    bands = []
    for name in names:
        if name not in CATALOGUE:
            raise UserError(f"its band {name} has no range and is not a known one{nearest(name, CATALOGUE)}.")
        band = CATALOGUE[name]
        bands.append(_ranged(band, factors[name], offsets.get(name, 0.0)) if name in factors else band)
    return InputSpecification(tuple(bands), 0.0)


def norm_factors(spec: InputSpecification) -> dict[str, float] | None:
    """What the first generation called `norm_factors`, so that its programs read a model of today.

    They know factors alone, so None where a range does not begin where their stored numbers do (reflectance from -0.1
    on), a band is not theirs, or values are not simply put into a range.
    """
    if spec.normalisation != "range" or not all(band.name in CATALOGUE for band in spec.bands):
        return None
    found = {}
    for band in spec.bands:
        per_unit, least = _stored(band)
        if band.low != least:
            return None
        found[band.name] = 1 / ((band.high - least) * per_unit)
    return found


def _stored(band: Band) -> tuple[float, float]:
    return _STORED_REFLECTANCE if is_reflectance(band) else _STORED.get(band.name, (1.0, 0.0))


def _factors(
    config: Mapping[str, Any], table: Mapping[str, Any], names: list[str]
) -> tuple[dict[str, float], dict[str, float]]:
    if isinstance(config.get("norm_factors"), Mapping):
        known = {name: factor for name, factor in config["norm_factors"].items() if name in names}
        return {name: _number("norm_factors", factor) for name, factor in known.items()}, {}
    factors, offsets = table.get("band_factors"), table.get("band_offsets")
    if factors is None or offsets is None:
        return {}, {}
    if not (isinstance(factors, list | tuple) and isinstance(offsets, list | tuple)):
        raise UserError("its band_factors and band_offsets are no lists.")
    if not len(factors) == len(offsets) == len(names):
        raise UserError("its bands, band_factors and band_offsets differ in length.")
    return (
        {name: _number("band_factors", factor) for name, factor in zip(names, factors, strict=True)},
        {name: _number("band_offsets", offset) for name, offset in zip(names, offsets, strict=True)},
    )


def _number(key: str, value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"its {key} hold {str(value)[:40]!r}, which is no finite number.")
    return float(value)


def _ranged(band: Band, factor: float, offset: float) -> Band:
    """The band with the range that `clip(stored · factor + offset, 0, 1)` means in its own unit."""
    if factor <= 0:
        raise UserError(f"its factor of band {band.name} is {factor}, which is not positive.")
    per_unit, least = _stored(band)
    low, high = (0.0 - offset) / factor, (1.0 - offset) / factor
    try:
        return replace(band, low=low / per_unit + least, high=high / per_unit + least)
    except ValueError:
        raise UserError(f"its factor {factor:g} and offset {offset:g} of band {band.name} leave it no range.") from None
