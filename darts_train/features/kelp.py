"""The 59 indices of a satellite kelp challenge (2nd place of Kelp Wanted, 2024) by the names that it gave them.

Several names mean another formula elsewhere; `kelp:` before a name asks for the one below, whatever else it may mean.
Letters are bands, `D` is elevation, and `e` keeps quotients finite: 0 / 0 is 0. It stands where the reference has it,
but in mCRIG, which has none there, and MSRNirRed, where it stands beside the quotient and guards nothing.

On counts (`raw`) CHLA and CYA take counts / 65535, as the reference does; all others are the same text.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from darts_train.features.encodings import spread_band
from darts_train.features.spectral import BRIGHTEST, Index, Numbers, alike_looks
from darts_train.raster.band import Band

PREFIX = "kelp:"
EPSILON = 1e-10
LETTERS = {"B": "blue", "G": "green", "R": "red", "N": "nir", "S": "swir16", "D": "dem"}
FORMULAS = {
    "DEMWM": "maximum(D, 0)",
    "NDVI": "(N - R) / (N + R + e)",
    "ATSAVI": "1.22 * (N - 1.22 * R - 0.03) / (1.22 * N + R - 1.22 * 0.03 + 0.08 * (1 + 1.22**2) + e)",
    "AVI": "2 * N - R",
    "CI": "(R - B) / (R + e)",
    "ClGreen": "N / (G + e) - 1",
    "GBNDVI": "(N - (G + B)) / (N + G + B + e)",
    "GVMI": "((N + 0.1) - (S + 0.02)) / ((N + 0.1) + (S + 0.02) + e)",
    "IPVI": "N / (N + R + e) / 2 * ((R - G) / (R + e) + G + 1 + e)",
    "KIVU": "(B - R) / (G + e)",
    "MCARI": "((N - R) - 0.2 * (N - G)) * (N / (R + e))",
    "MVI": "N / (S + e)",
    "NormNIR": "N / (N + R + G + e)",
    "PNDVI": "(N - (R + G + B)) / (N + R + G + B + e)",
    "SABI": "(N - R) / (G + B + e)",
    "WDRVI": "(0.1 * N - R) / (0.1 * N + R + e)",
    "mCRIG": "(1 / (B + e) - 1 / (G + e)) * N",
    "AFRI1600": "N - 0.66 * (S / (N + 0.66 * S + e))",
    "ARVI": "-0.18 + 1.17 * ((N - R) / (N + R + e))",
    "BWDRVI": "(0.1 * N - B) / (0.1 * N + B + e)",
    "CVI": "N * R / (G**2 + e)",
    "GDVI": "N - G",
    "DVIMSS": "2.4 * N - R",
    "EVI": "clip(2.5 * (N - R) / (N + 6 * R - 7.5 * B + 1 + e), -20000, 20000)",
    "EVI2": "2.4 * (N - R) / (N + R + 1 + e)",
    "EVI22": "2.5 * (N - R) / (N + 2.4 * R + 1 + e)",
    "GARI": "(N - (G - (B - R))) / (N - (G + (B - R)) + e)",
    "GNDVI": "(N - G) / (N + G + e)",
    "GRNDVI": "(N - (R + G)) / (N + R + G + e)",
    "I": "(R + G + B + e) / 30.5",
    "H": "arctan((2 * R - G - B) / 30.5 * (G - B))",
    "LogR": "log(N / (R + e) + e)",
    "MSRNirRed": "(N / (R + e) - 1) / sqrt(N / (R + e) + 1)",
    "MSAVI": "(2 * N + 1 - sqrt((2 * N + 1) ** 2 - 8 * (N - R))) / 2",
    "NLI": "(N**2 - R) / (N**2 + R + e)",
    "NDVIWM": "maximum((N - R) / (N + R + e), 0)",
    "NDWI": "(N - G) / (N + G + e)",
    "NDWIWM": "maximum((N - G) / (N + G + e), 0)",
    "NormG": "G / (N + R + G + e)",
    "NormR": "R / (N + R + G + e)",
    "SRGR": "G / (R + e)",
    "SRNIRG": "N / (G + e)",
    "SRNIRR": "N / (R + e)",
    "SRNIRSWIR": "N / (S + e)",
    "SRSWIRNIR": "S / (N + e)",
    "RBNDVI": "(N - (R + B)) / (N + R + B + e)",
    "SQRTNIRR": "sqrt(N / (R + e))",
    "TNDVI": "sqrt((N - R) / (N + R + e) + 0.5)",
    "TVI": "sqrt((R - G) / (R + G + e) + 0.5)",
    "VARIGreen": "(G - R) / (G + R - B + e)",
    "CHLA": "4.23 * (G / (B + e)) ** 3.94",
    "CYA": "((G * R + e) / (B + e)) ** 2.38",
    "TURB": "8.93 * (G / (B + e)) - 6.39",
    "CDOM": "537 * exp(-2.93 * G / (R + e))",
    "DOC": "432 * exp(-2.24 * G / (R + e))",
    "WATERCOLOR": "25366 * exp(-4.53 * G / (R + e))",
    "Kab1": "1.67 - 3.94 * log(B + e) + 3.78 * log(G + e)",
    "NDAVI": "(N - B) / (N + B + e)",
    "WAVI": "1.5 * (N - B) / (N + B + 0.5 + e)",
}
PRODUCTION = (
    "DEMWM", "NDVI", "ATSAVI", "AVI", "CI", "ClGreen", "GBNDVI", "GVMI", "IPVI", "KIVU", "MCARI", "MVI", "NormNIR",
    "PNDVI", "SABI", "WDRVI", "mCRIG",
)  # fmt: skip
ELEVATION = "DEMWM"  # the one that is made of elevation
WATER_MARK = "WM"  # indices whose names end so are never masked
_POWERS = {  # exponents and high powers, from 0: step, and the value that becomes 1
    "CHLA": (0.05, 100.0),  # to 3276: green is at most 5.4 times blue
    "CYA": (1e-4, 1.0),
    "CDOM": (0.01, 340.0),
    "DOC": (0.01, 310.0),
    "WATERCOLOR": (0.5, 13000.0),
}
_ROOM = 4.0  # times the usual range that can be stored
_SHARES_OF_COUNTS = ("CHLA", "CYA")  # take counts / 65535
_SPELLED = {name.lower(): name for name in FORMULAS}


def _function(name: str) -> Callable[[Numbers], Numbers]:
    """A function of one array by its name: a tensor's own, where it is a tensor, else NumPy's."""
    return lambda values: getattr(values, name)() if hasattr(values, name) else getattr(np, name)(values)


_ALLOWED = {
    "maximum": lambda values, least: values.clip(least),
    "clip": lambda values, least, greatest: values.clip(least, greatest),
    **{name: _function(name) for name in ("exp", "log", "sqrt", "arctan")},
}
_LIMITS = {  # where a formula cannot leave them: values that become 0 and 1
    **dict.fromkeys(("NDVI", "GBNDVI", "PNDVI", "WDRVI", "BWDRVI", "GNDVI", "GRNDVI", "NDWI", "RBNDVI", "NDAVI",
                     "NLI"), (-1.0, 1.0)),
    **dict.fromkeys(("NormNIR", "NormG", "NormR", "NDVIWM", "NDWIWM"), (0.0, 1.0)),
}  # fmt: skip


def spelled(name: str) -> str | None:
    """The name as the catalogue spells it, without the prefix and whatever its capitals; None where it has none."""
    return _SPELLED.get(name.lower().removeprefix(PREFIX))


def is_prefixed(name: str) -> bool:
    """Whether a name begins with `kelp:`."""
    return name.lower().startswith(PREFIX)


def find(name: str, raw: bool = False) -> Index | None:
    """The index of that name, with or without the prefix; None where there is none. `raw`: its bands are counts."""
    spelling = spelled(name)
    return None if spelling is None else _index(spelling, raw and spelling in _SHARES_OF_COUNTS)


@cache
def _index(spelling: str, shares: bool) -> Index:
    code = compile(FORMULAS[spelling], PREFIX + spelling, "eval")
    letters = tuple(letter for letter in LETTERS if letter in code.co_names)
    divisor = 65535.0 if shares else 1.0

    def evaluate(*bands: Numbers) -> Numbers:
        values = {letter: band / divisor for letter, band in zip(letters, bands, strict=True)}
        return eval(code, {"__builtins__": {}, **_ALLOWED, "e": EPSILON}, values)

    return Index(tuple(LETTERS[letter] for letter in letters), evaluate)


@cache
def encoding(name: str, brightest: float | None = None) -> Band:
    """How an index is stored, under the name given.

    Elevation of land has steps of 0.2 m, and a network sees 0 m as 0 and 1 m and more as 1, as the reference's does.
    What lies within limits has steps of 1e-4, powers have steps of their own; other ranges follow from the formula over
    bands that are bright and dark together, with room for four times that. `brightest` is the count up to which light
    reaches where its bands are counts. Raises KeyError for an unknown name.
    """
    spelling = spelled(name)
    if spelling is None:
        raise KeyError(name)
    if spelling == ELEVATION:
        return Band(name, 0.2, 0.0, 0.0, 1.0)
    if spelling in _LIMITS:
        low, high = _LIMITS[spelling]
        return Band(name, 1e-4, low, low, high)
    if spelling in _POWERS:
        shrunk = 1.0 if brightest is None or spelling != "CYA" else (brightest / BRIGHTEST / 65535) ** 2.38
        step, high = (number * shrunk for number in _POWERS[spelling])
        return Band(name, step, 0.0, 0.0, high)
    index = find(name, brightest is not None)
    assert index is not None
    return spread_band(name, index.plain(*alike_looks(index.bands, brightest or BRIGHTEST)), _ROOM)
