"""Indices of light: the sixteen that the operational pipeline knows, under its names and with its formulas.

Bands are float64 arrays of one shape, reflectances in [0, 1]. Several names mean another formula in other catalogues;
`spectral_catalogue.py` has those, and docs/guides/features.md lists where they differ.

Formulas are written in operators alone, which NumPy's arrays and torch's tensors share: preprocessing and a device that
trains (`training/deriving.py`) compute by the same lines.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from darts_train.features.blocks import by_rows
from darts_train.raster.band import Band
from darts_train.raster.catalogue import is_reflectance

_SAVI_SOIL = 0.5
_LOOKS = 4096  # reflectances at which a formula is looked at
BRIGHTEST = 0.6  # reflectance of those
Numbers = Any  # float64 [...]: an array of NumPy, or a tensor


@dataclass(frozen=True)
class Index:
    """A number per pixel, computed from bands: their names, in the order in which `formula` takes them."""

    bands: tuple[str, ...]
    formula: Callable[..., Numbers]

    def of(self, values: Sequence[np.ndarray], bands: Sequence[Band]) -> np.ndarray:
        """The index, float32 [h, w] as its bands are.

        Reflectances are clipped to [0, 1] first, as the operational models were trained: some slightly below 0 come
        from atmospheric correction. Where one band is in counts, those of light are clipped to [0, ∞) only; others
        (radar, temperature) are taken as they are. NaN in any band gives NaN, and so do 0 / 0 and infinity.
        """
        limits = greatest_of(bands)

        def compute(*parts: np.ndarray) -> np.ndarray:
            exact = [part.astype(np.float64) for part in parts]
            pairs = zip(exact, limits, strict=True)
            return self.plain(*(part if limit is None else np.clip(part, 0.0, limit) for part, limit in pairs))

        return by_rows(compute, values)

    def plain(self, *values: np.ndarray) -> np.ndarray:
        """The formula alone; what is not finite becomes NaN."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            result = np.asarray(self.formula(*values), np.float64)
        return np.where(np.isfinite(result), result, np.nan)


def greatest_of(bands: Sequence[Band]) -> tuple[float | None, ...]:
    """To what the sources of an index are clipped from 0 on, as `Index.of` says; None for those that are not."""
    greatest = 1.0 if all(is_reflectance(band) for band in bands if band.optical) else math.inf
    return tuple(greatest if band.optical else None for band in bands)


def normalised_difference(one: Numbers, other: Numbers) -> Numbers:
    """(one − other) / (one + other). Of nir and red: NDVI (Rouse et al. 1974, NASA SP-351)."""
    return (one - other) / (one + other)


def _rvi(red: Numbers, nir: Numbers) -> Numbers:
    """R / N, as Richardson and Wiegand 1977 have it; most catalogues have its inverse."""
    return red / nir


def _tvi(nir: Numbers, red: Numbers) -> Numbers:
    """√(NDVI + 0.5), NaN where NDVI < −0.5. Source: Deering et al. 1975."""
    return (normalised_difference(nir, red) + 0.5) ** 0.5


def _ctvi(nir: Numbers, red: Numbers) -> Numbers:
    """√|NDVI + 0.5| with the sign of NDVI + 0.5. Source: Perry and Lautenschlager 1984."""
    shifted = normalised_difference(nir, red) + 0.5
    return ((shifted > 0) * 1.0 - (shifted < 0) * 1.0) * abs(shifted) ** 0.5


def _ttvi(nir: Numbers, red: Numbers) -> Numbers:
    """√(|NDVI| + 0.5), after Thiam 1997."""
    return (abs(normalised_difference(nir, red)) + 0.5) ** 0.5


def _savi(nir: Numbers, red: Numbers) -> Numbers:
    """NDVI · 1.5: the operational pipeline leaves the soil out of the denominator, so this is not Huete's SAVI."""
    return normalised_difference(nir, red) * (1 + _SAVI_SOIL)


def _evi(nir: Numbers, red: Numbers, blue: Numbers) -> Numbers:
    """2.5 (N − R) / (N + 6 R − 7.5 B + 1). Source: Huete et al. 2002, doi 10.1016/S0034-4257(02)00096-2."""
    return 2.5 * (nir - red) / (nir + 6 * red - 7.5 * blue + 1)


def _vari(green: Numbers, red: Numbers, blue: Numbers) -> Numbers:
    """(G − R) / (G + R − B). Source: Gitelson et al. 2002, doi 10.1016/S0034-4257(01)00289-9."""
    return (green - red) / (green + red - blue)


def _gli(green: Numbers, red: Numbers, blue: Numbers) -> Numbers:
    """(2 G − R − B) / (2 G + R + B). Source: Louhaichi et al. 2001, doi 10.1080/10106040108542184."""
    return (2 * green - red - blue) / (2 * green + red + blue)


def _tgi(red: Numbers, green: Numbers, blue: Numbers) -> Numbers:
    """−0.5 (190 (R − G) − 120 (R − B)). Source: Hunt et al. 2013, doi 10.1016/j.jag.2012.07.020."""
    return -0.5 * (190 * (red - green) - 120 * (red - blue))


def _exg(green: Numbers, red: Numbers, blue: Numbers) -> Numbers:
    """2 G − R − B. Source: Woebbecke et al. 1995, doi 10.13031/2013.27838."""
    return 2 * green - red - blue


INDICES: dict[str, Index] = {
    "ndvi": Index(("nir", "red"), normalised_difference),
    "gndvi": Index(("nir", "green"), normalised_difference),
    "grvi": Index(("green", "red"), normalised_difference),
    "vigreen": Index(("green", "red"), normalised_difference),
    "rvi": Index(("red", "nir"), _rvi),
    "nrvi": Index(("red", "nir"), normalised_difference),  # (RVI − 1) / (RVI + 1), which has a value at N = 0, too
    "tvi": Index(("nir", "red"), _tvi),
    "ctvi": Index(("nir", "red"), _ctvi),
    "ttvi": Index(("nir", "red"), _ttvi),
    "savi": Index(("nir", "red"), _savi),
    "evi": Index(("nir", "red", "blue"), _evi),
    "vari": Index(("green", "red", "blue"), _vari),
    "gli": Index(("green", "red", "blue"), _gli),
    "vdvi": Index(("green", "red", "blue"), _gli),
    "tgi": Index(("red", "green", "blue"), _tgi),
    "exg": Index(("green", "red", "blue"), _exg),
}


def looks(bands: Sequence[str], brightest: float = BRIGHTEST) -> list[np.ndarray]:
    """Values that fill the usual range of each band evenly and independently, float64 [4096].

    Reflectances fill (0, 0.6), or counts (0, `brightest`), temperatures (`lwir`, K) (240, 320). An additive recurrence
    on square roots of primes: the same numbers on every machine, unlike those of a generator.
    """
    steps = np.arange(1, _LOOKS + 1)
    primes = [n for n in range(2, 100) if all(n % k for k in range(2, n))]
    evenly = [(steps * np.sqrt(prime) + 0.5) % 1 for prime in primes[: len(bands)]]
    return [
        240 + 80 * part if name.startswith("lwir") else brightest * part
        for name, part in zip(bands, evenly, strict=True)
    ]


def alike_looks(bands: Sequence[str], brightest: float = BRIGHTEST, most: float = 3.0) -> list[np.ndarray]:
    """Looks at bands that are bright and dark together, as those of real pixels: float64 [4096] each.

    Each band is the pixel's brightness times 1 / `most` to `most`. Quotients then spread as far as they do in images;
    of independent bands they spread ten times as far.
    """
    brightness, *own = looks(["brightness", *bands], brightest)
    return [brightness * most ** (2 * part / brightest - 1) for part in own]


@cache
def needs_reflectance(index: Index) -> bool:
    """Whether the index changes when all of its bands are doubled, so that counts would give another number."""
    values = looks(index.bands)
    once, twice = index.plain(*values), index.plain(*(2 * value for value in values))
    same = np.isclose(once, twice, rtol=1e-5, atol=1e-9, equal_nan=True)
    return bool(same.mean() < 0.99)  # the ε of some formulas shows where bands are almost 0
