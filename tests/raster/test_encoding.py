import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from darts_train.base.errors import UserError
from darts_train.raster.band import MAX_CODE, NODATA, Band, parse_optical_range, with_optical_range
from darts_train.raster.catalogue import CATALOGUE, is_reflectance
from darts_train.raster.encoding import decode, encode

REFLECTANCE = Band("red", 1e-4, -0.1, -0.1, 0.5, optical=True)
COUNTS = Band("band_1", 1.0, 0.0, 0.0, 255.0)


@settings(deadline=None)
@given(arrays(np.uint16, (2, 5, 7), elements=st.integers(0, MAX_CODE)))
def test_every_code_survives_decoding_to_float32_and_encoding(codes):
    bands = (REFLECTANCE, COUNTS)
    again, clipped = encode(decode(codes, bands), bands)
    assert np.array_equal(again, codes)
    assert clipped.tolist() == [0, 0]


@settings(deadline=None)
@given(st.sampled_from(sorted(CATALOGUE)), st.integers(0, MAX_CODE))
def test_every_band_of_the_catalogue_keeps_every_code(name, code):
    band = CATALOGUE[name]
    codes = np.full((1, 1, 1), code, np.uint16)
    assert encode(decode(codes, [band]), [band])[0][0, 0, 0] == code


@settings(deadline=None)
@given(st.integers(0, MAX_CODE - 1000))
def test_planet_counts_keep_their_quantum(count):
    values = np.full((1, 1, 1), np.float64(count) * 1e-4, np.float32)
    assert encode(values, [REFLECTANCE])[0][0, 0, 0] == count + 1000


def test_all_codes_at_once_are_a_straight_line():
    codes = np.arange(MAX_CODE + 1, dtype=np.uint16).reshape(1, 255, 257)
    assert np.array_equal(encode(decode(codes, [REFLECTANCE]), [REFLECTANCE])[0], codes)
    assert decode(codes, [COUNTS])[0, 0, :3].tolist() == [0.0, 1.0, 2.0]


def test_nan_is_no_data_and_no_data_is_nan():
    values = np.array([[[np.nan, 0.2]]], np.float32)
    codes, clipped = encode(values, [REFLECTANCE])
    assert codes.tolist() == [[[NODATA, 3000]]]
    assert clipped.tolist() == [0]
    assert np.isnan(decode(codes, [REFLECTANCE])[0, 0, 0])


def test_what_no_code_can_say_is_set_to_the_nearest_and_counted():
    values = np.array([[[-0.2, 7.0, np.inf, -np.inf, 0.0]]])
    codes, clipped = encode(values, [REFLECTANCE])
    assert codes.tolist() == [[[0, MAX_CODE, MAX_CODE, 0, 1000]]]
    assert clipped.tolist() == [4]


def test_halves_go_to_the_even_code():
    codes, _ = encode(np.array([[[0.5, 1.5, 2.5]]]), [COUNTS])
    assert codes.tolist() == [[[0, 2, 2]]]


def test_empty_arrays_stay_empty():
    codes, clipped = encode(np.empty((1, 0, 4)), [COUNTS])
    assert codes.shape == (1, 0, 4)
    assert clipped.tolist() == [0]


@pytest.mark.parametrize("values", [np.zeros((1, 2, 2)), np.zeros((2, 2))])
def test_a_wrong_number_of_bands_is_refused(values):
    with pytest.raises(ValueError, match="2 bands"):
        encode(values, [COUNTS, COUNTS])
    with pytest.raises(ValueError, match="2 bands"):
        decode(values.astype(np.uint16), [COUNTS, COUNTS])


@pytest.mark.parametrize(
    "numbers", [(0.0, 0.0, 0.0, 1.0), (-1.0, 0, 0, 1), (1.0, 0, 1, 1), (1.0, np.nan, 0, 1), (1.0, 0, 0, np.inf)]
)
def test_a_band_without_a_line_or_a_range_cannot_be_made(numbers):
    with pytest.raises(ValueError, match="band x"):
        Band("x", *numbers)


@pytest.mark.parametrize(
    ("text", "expected"), [("v1", (0.0, 0.3)), ("V2", (-0.1, 0.5)), ("0,0.4", (0.0, 0.4)), (" -0.2, 1 ", (-0.2, 1.0))]
)
def test_optical_ranges(text, expected):
    assert parse_optical_range(text) == expected


@pytest.mark.parametrize("text", ["", "v3", "1", "0.5,0.1", "0,nan", "a,b", "0,1,2"])
def test_other_optical_ranges_are_refused(text):
    with pytest.raises(UserError, match="--optical-range"):
        parse_optical_range(text)


def test_optical_range_is_for_light_only():
    red, slope = with_optical_range([CATALOGUE["red"], CATALOGUE["slope"]], 0.0, 0.3)
    assert (red.low, red.high) == (0.0, 0.3)
    assert slope == CATALOGUE["slope"]
    assert is_reflectance(red)
    assert not is_reflectance(slope)
