import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_train.features.spectral import INDICES, Index, looks, needs_reflectance, normalised_difference
from darts_train.raster.band import Band
from darts_train.raster.catalogue import CATALOGUE

BLUE, GREEN, RED, NIR = 0.05, 0.08, 0.1, 0.3
LIGHT = {"blue": BLUE, "green": GREEN, "red": RED, "nir": NIR}


def counts(name):
    return Band(name, 1.0, 0.0, 0.0, 255.0, optical=True)


def value(name, bands=CATALOGUE, **light):
    index = INDICES[name]
    values = [np.full((1, 1), {**LIGHT, **light}[band]) for band in index.bands]
    return float(index.of(values, [bands[band] for band in index.bands])[0, 0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ndvi", 0.5),
        ("gndvi", 0.22 / 0.38),
        ("grvi", -0.02 / 0.18),
        ("vigreen", -0.02 / 0.18),
        ("rvi", 1 / 3),
        ("nrvi", (1 / 3 - 1) / (1 / 3 + 1)),
        ("tvi", 1.0),
        ("ctvi", 1.0),
        ("ttvi", 1.0),
        ("savi", 0.75),
        ("evi", 2.5 * 0.2 / (0.3 + 0.6 - 0.375 + 1)),
        ("vari", -0.02 / 0.13),
        ("gli", 0.01 / 0.31),
        ("vdvi", 0.01 / 0.31),
        ("tgi", -0.5 * (190 * 0.02 - 120 * 0.05)),
        ("exg", 0.01),
    ],
)
def test_values_by_hand(name, expected):
    assert value(name) == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_all_are_tested_by_hand_and_have_an_encoding():
    by_hand = {case[0] for mark in test_values_by_hand.pytestmark for case in mark.args[1]}
    assert set(INDICES) == by_hand
    assert set(INDICES) <= set(CATALOGUE)


def test_negative_ndvi():
    assert np.isnan(value("tvi", nir=0.05, red=0.3))  # NDVI −0.71
    assert value("ctvi", nir=0.05, red=0.3) == pytest.approx(-np.sqrt(0.25 / 0.35 - 0.5), rel=1e-6)
    assert value("ttvi", nir=0.05, red=0.3) == pytest.approx(np.sqrt(0.25 / 0.35 + 0.5), rel=1e-6)


def test_ndvi_at_its_edges():
    nir = np.array([[0.0, -0.05, 1.5, np.nan, 0.2, np.inf]])
    red = np.array([[0.0, 0.1, 0.5, 0.1, -0.3, 0.1]])
    found = INDICES["ndvi"].of([nir, red], [CATALOGUE["nir"], CATALOGUE["red"]])
    assert found.dtype == np.float32
    assert np.allclose(found, [[np.nan, -1, 1 / 3, np.nan, 1, 0.9 / 1.1]], equal_nan=True)


def test_a_division_by_nothing_is_no_data():
    assert np.isnan(value("rvi", nir=0.0))
    assert value("nrvi", nir=0.0) == 1.0
    assert np.isnan(value("vari", green=0.1, red=0.1, blue=0.2))
    assert np.isnan(value("evi", nir=0.25, red=0.125, blue=4 / 15))


def test_counts_are_not_cut_at_one():
    bands = {name: counts(name) for name in LIGHT}
    assert value("ndvi", bands, nir=200.0, red=100.0) == pytest.approx(1 / 3)
    assert value("ndvi", {**bands, "red": CATALOGUE["red"]}, nir=200.0, red=100.0) == pytest.approx(1 / 3)
    assert value("ndvi", nir=200.0, red=100.0) == 0.0


def test_what_is_not_light_is_taken_as_it_is():
    index = Index(("lwir", "red"), lambda warm, red: warm - red)
    bands = [Band("lwir", 0.01, 0.0, 200.0, 320.0), CATALOGUE["red"]]
    assert index.of([np.full((1, 1), 280.0), np.full((1, 1), 1.5)], bands)[0, 0] == 279.0


def test_only_differences_and_sums_of_reflectances_need_them():
    assert {name for name, index in INDICES.items() if needs_reflectance(index)} == {"evi", "tgi", "exg"}


def test_looks_are_spread_evenly():
    red, nir, warm = looks(["red", "nir", "lwir"])
    for part, low, high in ((red, 0, 0.6), (nir, 0, 0.6), (warm, 240, 320)):
        assert low <= part.min() < part.max() <= high
        assert np.histogram(part, 16, (low, high))[0] == pytest.approx(256, abs=16)
    assert abs(np.corrcoef(red, nir)[0, 1]) < 0.02


@given(st.lists(st.floats(-0.1, 1.1), min_size=4, max_size=4), st.sampled_from(sorted(INDICES)))
def test_indices_are_finite_or_missing_and_within_their_encoding(light, name):
    found = value(name, **dict(zip(LIGHT, light, strict=True)))
    if not np.isnan(found):
        assert np.isfinite(found)
        if name not in ("rvi", "evi", "vari"):  # quotients without a limit
            assert CATALOGUE[name].least - 1e-6 <= found <= CATALOGUE[name].greatest


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_normalised_difference_changes_its_sign_with_its_order(one, other):
    with np.errstate(invalid="ignore"):
        found = normalised_difference(np.array(one), np.array(other))
        assert np.array_equal(found, -normalised_difference(np.array(other), np.array(one)), equal_nan=True)
