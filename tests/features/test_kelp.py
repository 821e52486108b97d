"""The 59 indices of the kelp catalogue against formulas written out here, and against spyndex."""

import numpy as np
import pytest
import spyndex

from darts_train.base.errors import UserError
from darts_train.features import kelp
from darts_train.features.known import closest, encoding_of, index_of
from darts_train.features.names import (
    ALSO_OF_SPYNDEX,
    CLASHES,
    KEPT,
    OTHER_BANDS,
    SAME_IN_SPYNDEX,
    check_clear,
    expand,
    is_only_of_kelp,
    without_prefix,
)
from darts_train.features.spectral import INDICES, needs_reflectance

rng = np.random.default_rng(0)
B, G, R, N, S = rng.uniform(0.02, 0.6, (5, 24, 24))
D = rng.uniform(-50, 300, (24, 24))
VALUES = {"blue": B, "green": G, "red": R, "nir": N, "swir16": S, "dem": D}


def nd(one, other):
    return (one - other) / (one + other)


BY_HAND = {
    "DEMWM": np.where(D > 0, D, 0),
    "NDVI": nd(N, R),
    "ATSAVI": 1.22 * (N - 1.22 * R - 0.03) / (1.22 * N + R - 0.0366 + 0.08 * 2.4884),
    "AVI": 2 * N - R,
    "CI": 1 - B / R,
    "ClGreen": N / G - 1,
    "GBNDVI": nd(N, G + B),
    "GVMI": (N - S + 0.08) / (N + S + 0.12),
    "IPVI": N / (2 * (N + R)) * ((R - G) / R + G + 1),
    "KIVU": (B - R) / G,
    "MCARI": (0.8 * N - R + 0.2 * G) * N / R,
    "MVI": N / S,
    "NormNIR": N / (N + R + G),
    "PNDVI": nd(N, R + G + B),
    "SABI": (N - R) / (G + B),
    "WDRVI": nd(0.1 * N, R),
    "mCRIG": N / B - N / G,
    "AFRI1600": N - 0.66 * S / (N + 0.66 * S),
    "ARVI": 1.17 * nd(N, R) - 0.18,
    "BWDRVI": nd(0.1 * N, B),
    "CVI": N * R / G / G,
    "GDVI": N - G,
    "DVIMSS": 2.4 * N - R,
    "EVI": np.clip(2.5 * (N - R) / (N + 6 * R - 7.5 * B + 1), -2e4, 2e4),
    "EVI2": 2.4 * (N - R) / (1 + N + R),
    "EVI22": 2.5 * (N - R) / (1 + N + 2.4 * R),
    "GARI": (N - G + B - R) / (N - G - B + R),
    "GNDVI": nd(N, G),
    "GRNDVI": nd(N, R + G),
    "I": (R + G + B) / 30.5,
    "H": np.arctan((2 * R - G - B) * (G - B) / 30.5),
    "LogR": np.log(N) - np.log(R),
    "MSRNirRed": (N / R - 1) / np.sqrt(N / R + 1),
    "MSAVI": N + 0.5 - 0.5 * np.sqrt((2 * N + 1) ** 2 - 8 * (N - R)),
    "NLI": nd(N * N, R),
    "NDVIWM": np.where(N > R, nd(N, R), 0),
    "NDWI": nd(N, G),
    "NDWIWM": np.where(N > G, nd(N, G), 0),
    "NormG": G / (N + R + G),
    "NormR": R / (N + R + G),
    "SRGR": G / R,
    "SRNIRG": N / G,
    "SRNIRR": N / R,
    "SRNIRSWIR": N / S,
    "SRSWIRNIR": S / N,
    "RBNDVI": nd(N, R + B),
    "SQRTNIRR": np.sqrt(N / R),
    "TNDVI": np.sqrt(np.where(nd(N, R) < -0.5, np.nan, nd(N, R) + 0.5)),
    "TVI": np.sqrt(np.where(nd(R, G) < -0.5, np.nan, nd(R, G) + 0.5)),
    "VARIGreen": (G - R) / (G + R - B),
    "CHLA": 4.23 * (G / B) ** 3.94,
    "CYA": (G * R / B) ** 2.38,
    "TURB": 8.93 * G / B - 6.39,
    "CDOM": 537 / np.exp(2.93 * G / R),
    "DOC": 432 / np.exp(2.24 * G / R),
    "WATERCOLOR": 25366 / np.exp(4.53 * G / R),
    "Kab1": 1.67 - 3.94 * np.log(B) + 3.78 * np.log(G),
    "NDAVI": nd(N, B),
    "WAVI": 1.5 * (N - B) / (N + B + 0.5),
}
CONSTANTS = {"sla": 1.22, "slb": 0.03, "alpha": 0.1, "g": 2.5, "C1": 6.0, "C2": 7.5, "L": 1.0}
LETTERS = {"B": B, "G": G, "R": R, "N": N, "S1": S, "S2": S, "RE1": N, "N2": N}


def value(name, values=VALUES, raw=False):
    index = kelp.find(name, raw)
    return index.plain(*(values[band] for band in index.bands))


@pytest.mark.parametrize("name", kelp.FORMULAS)
def test_by_hand(name):
    near_a_pole = np.abs(G + R - B) < 1e-3 if name == "VARIGreen" else np.abs(N - G - B + R) < 1e-3
    usual = ~near_a_pole if name in ("VARIGreen", "GARI") else slice(None)
    np.testing.assert_allclose(value(f"kelp:{name}")[usual], BY_HAND[name][usual], rtol=1e-6, atol=1e-7)


def test_there_are_59_and_17_of_them_in_production():
    assert len(kelp.FORMULAS) == len(BY_HAND) == 59
    assert len(kelp.PRODUCTION) == 17
    assert set(kelp.PRODUCTION) < set(kelp.FORMULAS)
    assert kelp.PRODUCTION[:3] == ("DEMWM", "NDVI", "ATSAVI")


@pytest.mark.parametrize(("ours", "theirs"), SAME_IN_SPYNDEX.items())
def test_the_same_in_spyndex(ours, theirs):
    theirs = theirs.split(",")[0]
    needed = spyndex.indices[theirs].bands
    params = {key: found for key, found in {**CONSTANTS, **LETTERS}.items() if key in needed}
    with np.errstate(invalid="ignore"):
        found = spyndex.computeIndex(theirs, params)
    np.testing.assert_allclose(value(ours), found, rtol=1e-6, atol=1e-7)


def test_which_names_clash_follows_from_values():
    """What `names.py` says by hand is what this spyndex gives with its own constants."""
    both = {name for name in kelp.FORMULAS if name in spyndex.indices}
    assert both == set(ALSO_OF_SPYNDEX)
    assert not {key.lower() for key in spyndex.indices} & {name.lower() for name in set(kelp.FORMULAS) - both}
    differ = set()
    for name in both:
        theirs, ours = index_of(f"spyndex:{name}"), kelp.find(name)
        if not set(theirs.bands) <= set(VALUES):
            assert name in OTHER_BANDS
        elif not np.allclose(theirs.plain(*(VALUES[band] for band in theirs.bands)), value(name), equal_nan=True):
            differ.add(name)
        assert ours is not None
    assert differ == {*CLASHES, *KEPT}
    assert {name for name in kelp.FORMULAS if without_prefix(name) == "the same"} == both - differ - set(OTHER_BANDS)


def test_names_without_a_prefix():
    assert index_of("clgreen") is index_of("kelp:ClGreen") is kelp.find("CLGREEN")
    assert index_of("tvi") is INDICES["tvi"]
    assert index_of("kelp:tvi") is not INDICES["tvi"]
    np.testing.assert_allclose(index_of("ndwi").plain(G, N), -value("NDWI"), atol=1e-6)
    assert is_only_of_kelp("KIVU")
    assert not is_only_of_kelp("evi")
    assert index_of("kelp:nothing") is None
    assert "nearest: kelp:clgreen" in closest("kelp:clgren", ["red"])


def test_every_name_of_the_catalogue_is_clear_or_refused():
    for name in kelp.FORMULAS:
        check_clear([f"kelp:{name}", name.lower()] if name not in (*CLASHES, *KEPT) else [f"kelp:{name}"], [])
    check_clear(["ndwi", "tvi", "red"], ["red"])
    check_clear(["avi"], ["avi"])  # a band of the scene is read
    check_clear(["spyndex:AVI"], [])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["red", "avi"], r"avi means two things; say kelp:AVI \(2 \* N - R\) or spyndex:AVI"),
        (["EVI2"], "EVI2 means two things; say kelp:EVI2"),
        (["ndwi", "CI"], "ndwi means two things beside CI; say kelp:NDWI .* or spyndex:NDWI"),
        (["kelp:CI", "TVI"], "TVI means two things beside kelp:CI; say kelp:TVI"),
    ],
)
def test_names_of_two_meanings_are_refused(names, message):
    with pytest.raises(UserError, match=message):
        check_clear(names, ["red"])


def test_production_expands_in_order():
    found = expand(["red", "Kelp-17", "nir"])
    assert found[:3] == ("red", "kelp:DEMWM", "kelp:NDVI")
    assert (len(found), found[-1], found[-2]) == (19, "nir", "kelp:mCRIG")


def test_quotients_of_nothing_are_finite():
    nothing = {name: np.zeros(1) for name in VALUES}
    for name in kelp.FORMULAS:
        assert np.isfinite(value(name, nothing)).all(), name
    assert value("NDVI", nothing) == value("ClGreen", nothing) + 1 == 0


def test_on_counts_two_formulas_divide():
    counts = {name: 10000 * band for name, band in VALUES.items()}
    share = 10000 / 65535
    np.testing.assert_allclose(value("CYA", counts, raw=True), (G * R / B * share) ** 2.38, rtol=1e-4)
    np.testing.assert_allclose(value("CHLA", counts, raw=True), BY_HAND["CHLA"], rtol=1e-6)
    np.testing.assert_allclose(value("I", counts, raw=True), 10000 * BY_HAND["I"], rtol=1e-6)


def test_which_need_reflectances():
    free = {name for name in kelp.FORMULAS if not needs_reflectance(kelp.find(name))}
    assert {"NDVI", "CI", "mCRIG", "CVI", "CHLA", "CDOM", "TURB"} <= free
    assert not {"AVI", "MCARI", "GVMI", "IPVI", "CYA", "EVI", "NLI", "WAVI", "I", "H"} & free


def test_encodings_hold_what_formulas_usually_give():
    for name in kelp.FORMULAS:
        for brightest in (None, 4096.0):
            band = encoding_of(f"kelp:{name}", brightest)
            stretch = 1.0 if brightest is None else brightest / 0.6
            values = {key: part if key == "dem" else part * stretch for key, part in VALUES.items()}
            found = value(name, values, brightest is not None)
            found = found[np.isfinite(found)]
            assert ((found < band.least - 1e-6) | (found > band.greatest)).mean() <= (
                0.1 if name in ("CHLA", "CYA") else 0.02
            ), name
    demwm = encoding_of("kelp:DEMWM")
    assert (demwm.low, demwm.high, demwm.greatest > 8849) == (0, 1, True)
