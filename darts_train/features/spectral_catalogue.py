"""Every index of the Awesome Spectral Indices list, by the package spyndex, which is imported when one is asked for.

Its letters stand for bands, its constants have its defaults, and its kernels k(a, b) are the radial basis function.
Source: Montero et al. 2023, doi 10.1038/s41597-023-02096-0.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np

from darts_train.features.encodings import spread_band
from darts_train.features.spectral import BRIGHTEST, Index, Numbers, looks
from darts_train.raster.band import Band

PREFIX = "spyndex:"  # asks for the catalogue's formula where a name means something else here
LETTERS = {
    # our band: letter of spyndex
    "coastal": "A",
    "blue": "B",
    "green_i": "G1",
    "green": "G",
    "yellow": "Y",
    "red": "R",
    "rededge071": "RE1",
    "rededge": "RE1",  # of PLANET, 705 nm
    "rededge075": "RE2",
    "rededge078": "RE3",
    "nir": "N",
    "nir08": "N2",
    "nir09": "WV",
    "swir16": "S1",
    "swir22": "S2",
    "lwir": "T",  # kelvin
    "lwir11": "T1",
    "lwir12": "T2",
    "hh": "HH",  # backscatter, linear
    "hv": "HV",
    "vh": "VH",
    "vv": "VV",
}
_NAMES = {letter: name for name, letter in reversed(LETTERS.items())}  # the first name of a letter
_DIFFERENCES = (1e-4, -1.0, -1.0, 1.0)


def find(name: str) -> Index | None:
    """The catalogue's index of that name; None where there is none.

    Capitals do not matter, but where two names differ by them alone (BAI and BaI): then the spelling counts first, and
    next the one with more capitals. What no band stands for (a wavelength, a flux) is named as spyndex names it.
    """
    return _index(spelled(name))


@cache
def spelled(name: str) -> str | None:
    """The name as the catalogue spells it, without the prefix; None where it has no such index."""
    bare = name[len(PREFIX) :] if name.lower().startswith(PREFIX) else name
    same = [key for key in _spyndex().indices if key.lower() == bare.lower()]
    return bare if bare in same else min(same, default=None)  # capitals sort first


def names() -> list[str]:
    """All names of the catalogue, in lower case."""
    return [key.lower() for key in _spyndex().indices]


def source_of(need: str, available: Iterable[str]) -> str:
    """The available band that serves as `need`: itself, or another name of the same light; `need` where none does."""
    have = set(available)
    others = [name for name, letter in LETTERS.items() if letter == LETTERS.get(need) and name in have]
    return need if need in have or not others else others[0]


@cache
def encoding(name: str, brightest: float = BRIGHTEST) -> Band:
    """How an index of the catalogue is stored, under the name given.

    Normalised differences: steps of 1e-4 from −1. Others: by the formula (`encodings.spread_band`) over reflectances
    between 0 and 0.6, or counts between 0 and `brightest`. Raises KeyError for an unknown name.
    """
    spelling = spelled(name)
    index = _index(spelling)
    if index is None:
        raise KeyError(name)
    if _is_difference(str(_spyndex().indices[spelling].formula)):
        return Band(name, *_DIFFERENCES)
    return spread_band(name, index.plain(*looks(index.bands, brightest)))


def _is_difference(formula: str) -> bool:
    import re

    return re.fullmatch(r"\((\w+)-(\w+)\)/\(\1\+\2\)", formula) is not None


def _spyndex() -> Any:
    import spyndex  # type: ignore[import-untyped]  # half a second: on demand

    return spyndex


@cache
def _index(spelling: str | None) -> Index | None:
    if spelling is None:
        return None
    entry = _spyndex().indices[spelling]
    constants = {key: value.default for key, value in _spyndex().constants.items() if value.default is not None}
    kernels = [key for key in entry.bands if len(key) == 3 and key.startswith("k")]
    plain = [key for key in entry.bands if key not in kernels] + [part for key in kernels for part in key[1:]]
    letters = tuple(dict.fromkeys(key for key in plain if key not in constants))
    return Index(tuple(_NAMES.get(key, key) for key in letters), _formula(entry.formula, letters, kernels, constants))


def _formula(
    text: str, letters: tuple[str, ...], kernels: list[str], constants: dict[str, float]
) -> Callable[..., Numbers]:
    """The text as a function of the letters' bands. spyndex itself evaluates it so, but reads its catalogue anew."""
    code = compile(text, "spyndex", "eval")

    def evaluate(*bands: Numbers) -> Numbers:
        values: dict[str, Any] = {**constants, **dict(zip(letters, bands, strict=True))}
        for key in kernels:  # k(a, b) = exp(−(a − b)² / 2σ²)
            distance = values[key[1]] - values[key[2]]
            power = -(distance**2) / (2 * constants["sigma"] ** 2)
            values[key] = power.exp() if hasattr(power, "exp") else np.exp(power)  # of a tensor, of an array
        return eval(code, {"__builtins__": {}}, values)

    return evaluate
