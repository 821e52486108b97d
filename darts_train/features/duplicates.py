"""Bands that say the same: equal over all reflectances but for a factor above 0 and an offset."""

from collections.abc import Mapping, Sequence

import numpy as np

from darts_train.features.known import DEM, index_of
from darts_train.features.masking import IndexRules
from darts_train.features.spectral import BRIGHTEST, looks

_MIDDLE = (1, 99)  # percentiles between which two bands are compared: near a pole any two differ
_NEAR = 1e-3  # of the span from the 10th to the 90th percentile
_SHIFT = 0.3  # moves elevation to both sides of 0


def same_bands(
    sources: Mapping[str, Sequence[str]], rules: IndexRules, brightest: float = BRIGHTEST
) -> list[tuple[str, ...]]:
    """Groups of two and more bands of which a network would learn nothing by the second.

    Args:
        sources: the bands that each band is made of, in the order of its formula; of itself where it is read.
        rules: whether indices are computed on counts, where constants hardly show and more of them are the same.
        brightest: reflectance, or count, up to which light reaches.

    Bands of the terrain depend on more than a pixel and are passed over.
    """
    computed = [found for name, found in sources.items() if tuple(found) != (name,)]
    needs = list(dict.fromkeys(need for found in computed for need in found))
    values = dict(zip(needs, looks(needs, brightest), strict=True))
    if DEM in values or rules.dem_band in values:
        name = rules.dem_band if rules.dem_band in values else DEM
        values[name] = values[name] / brightest - _SHIFT
    groups: list[tuple[list[str], np.ndarray, np.ndarray]] = []  # names, values of the first, those in its middle
    for name, bands in sources.items():
        if not set(bands) <= set(needs):
            continue  # read, and no index is made of it
        found = _standardised(_values(name, [values[band] for band in bands], bands, rules))
        if found is None:
            continue
        group = next((names for names, first, inside in groups if _alike(first, found, inside)), None)
        if group is None:
            low, high = np.nanpercentile(found, _MIDDLE)
            groups.append(([name], found, (found >= low) & (found <= high)))
        else:
            group.append(name)
    return [tuple(names) for names, _, _ in groups if len(names) > 1]


def _values(name: str, values: Sequence[np.ndarray], bands: Sequence[str], rules: IndexRules) -> np.ndarray | None:
    """A band at the looks, float64 [k]; None of one that is no function of a pixel."""
    if tuple(bands) == (name,):
        return values[0]
    index = index_of(name, rules.counts)
    return None if index is None else index.plain(*values)


def _standardised(values: np.ndarray | None) -> np.ndarray | None:
    if values is None or not np.isfinite(values).any():
        return None
    low, middle, high = np.nanpercentile(values, (10, 50, 90))
    return (values - middle) / (high - low) if high > low else None


def _alike(one: np.ndarray, other: np.ndarray, inside: np.ndarray) -> bool:
    if not np.array_equal(np.isnan(one), np.isnan(other)):
        return False
    return bool(np.abs(one[inside] - other[inside]).max() < _NEAR)
