"""Bands made of stored codes: what preprocessing would have stored, but for the codes of the sources."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.features import known, terrain_bands
from darts_train.features.derived import derivation
from darts_train.features.stack import FeatureStack
from darts_train.raster.band import NODATA, Band
from darts_train.raster.catalogue import CATALOGUE
from darts_train.raster.encoding import encode
from darts_train.raster.patches import Window
from tests.features.fakes import FunctionScene

NAMES = ("blue", "green", "red", "nir")
BANDS = tuple(CATALOGUE[name] for name in NAMES)
DERIVED = ("ndvi", "evi", "ctvi", "tgi", "spyndex:NDWI", "kNDVI")


def some_codes(seed, shape=(4, 16, 16)):
    """Reflectances from −0.1 to 0.9, a tenth of them no data."""
    random = np.random.default_rng(seed)
    codes = random.integers(0, 10001, shape).astype(np.uint16)
    codes[random.random(shape) < 0.1] = NODATA
    return codes


def made(derived=DERIVED, names=NAMES, bands=BANDS):
    return derivation((*names, *derived), derived, bands, "set")


def test_stored_codes_give_what_preprocessing_stores():
    """A scene whose values are those of the codes: nothing is rounded twice, so all codes are equal."""
    codes = some_codes(1)

    def values(band, channel):
        exact = band.offset + band.scale * channel.astype(np.float64)
        exact[channel == NODATA] = np.nan
        return lambda columns, rows: exact[rows.astype(int), columns.astype(int)]

    scene = FunctionScene({band.name: values(band, x) for band, x in zip(BANDS, codes, strict=True)})
    stack, found = FeatureStack((*NAMES, *DERIVED)), made()
    assert found.bands == stack.bands_for(scene)
    expected, _ = encode(stack.compute(scene, Window(0, 0, 16, 16)), found.bands)
    assert np.array_equal(found(codes), expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_values_that_codes_round_move_ndvi_by_their_step_at_most(seed):
    values = np.random.default_rng(seed).uniform(0.2, 0.6, (2, 8, 8)).astype(np.float32)
    bands = (CATALOGUE["red"], CATALOGUE["nir"])
    red, nir = values.astype(np.float64)
    (whole,), _ = encode(((nir - red) / (nir + red))[None], [CATALOGUE["ndvi"]])
    (found,) = derivation(("ndvi",), ("ndvi",), bands, "set")(encode(values, bands)[0])
    # |dNDVI| ≤ step / 2 · 2 (N + R) / (N + R)² ≤ 1e-4 / 0.4: two and a half codes, and half of one for each rounding
    assert np.abs(found.astype(int) - whole.astype(int)).max() <= 3


def test_no_data_in_any_source_is_no_data():
    codes = np.full((4, 3, 3), 3000, np.uint16)
    codes[2, 0, 0], codes[0, 1, 1] = NODATA, NODATA  # red, blue
    found = made(("ndvi", "evi"))(codes)
    assert np.argwhere(found[4] == NODATA).tolist() == [[0, 0]]
    assert np.argwhere(found[5] == NODATA).tolist() == [[0, 0], [1, 1]]
    codes[2:] = 1000  # reflectance 0: 0 / 0
    assert (made(("ndvi",))(codes)[4] == NODATA).all()


def test_a_source_that_is_not_wanted_is_read_and_left_out():
    found = made(("ndvi",), ("red", "blue"))
    assert [band.name for band in found.stored] == ["blue", "red", "nir"]
    assert [band.name for band in found.bands] == ["red", "blue", "ndvi"]
    codes = some_codes(2, (3, 8, 8))
    assert np.array_equal(found(codes)[:2], codes[[1, 0]])
    assert np.array_equal(found(np.stack([codes, codes])), np.stack([found(codes)] * 2))
    assert np.array_equal(pickle.loads(pickle.dumps(found))(codes), found(codes))
    with pytest.raises(ValueError, match="expected uint16"):
        found(codes[:2])


def test_another_name_of_the_same_light_serves():
    found = derivation(("spyndex:NDREI",), ("spyndex:NDREI",), (CATALOGUE["nir"], CATALOGUE["rededge"]), "set")
    assert [band.name for band in found.stored] == ["nir", "rededge"]


@pytest.mark.parametrize(
    ("derived", "message"),
    [
        (("nir",), "nir is stored in the set; choose it by --bands"),
        (("slope",), "slope needs the ground around a patch"),
        (("ndvi", "NDVI"), "given twice: ndvi, NDVI"),
        (("ndvvi",), "no band ndvvi; .* nearest"),
        (("spyndex:NDMI",), "band spyndex:NDMI needs swir16, which it has not"),
    ],
)
def test_what_cannot_be_derived_is_said_in_a_line(derived, message):
    with pytest.raises(UserError, match=message) as error:
        made(derived)
    assert str(error.value).startswith("--derive-bands")
    assert "\n" not in str(error.value)


def test_counts_are_no_reflectances():
    counts = tuple(Band(name, 1.0, 0.0, 0.0, 255.0, True) for name in NAMES)
    assert made(("ndvi",), bands=counts).bands[4].name == "ndvi"
    with pytest.raises(UserError, match="band evi needs reflectances, but has counts of nir, red, blue; preprocess"):
        made(("evi",), bands=counts)


def test_names_of_the_terrain_are_those_that_are_computed():
    assert tuple(terrain_bands.TERRAIN) == known.TERRAIN
