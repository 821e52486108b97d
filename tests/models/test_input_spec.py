"""The two twins of normalisation, and the acceptance vectors of both generations of DARTS models."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.raster.band import MAX_CODE, NODATA, Band
from darts_train.raster.catalogue import CATALOGUE
from darts_train.raster.encoding import encode

VALUES = {"red": 0.2, "ndvi": 0.5, "relative_elevation": 25.0, "slope": 45.0, "tc_wetness": 51.0}


def see(spec, *values):
    """What the network sees of one pixel, through encoding and the input layer."""
    codes, _ = encode(np.array(values, np.float64).reshape(-1, 1, 1), spec.bands)
    return InputLayer(spec)(torch.from_numpy(codes[None].view(np.int16)))[0, :, 0, 0].tolist()


def specification(names, optical_range=None, fill=0.0):
    return InputSpecification.from_set([CATALOGUE[name] for name in names], optical_range, fill)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("red", 0.2, 0.5),
        ("red", 0.8, 1.0),
        ("ndvi", 0.5, 0.75),
        ("relative_elevation", -50.0, 0.0),
        ("relative_elevation", 25.0, 0.75),
        ("slope", 45.0, 0.5),
        ("tc_brightness", 51.0, 0.2),
        ("red", np.nan, 0.0),
    ],
)
def test_second_generation_vectors(name, value, expected):
    assert see(specification([name]), value) == pytest.approx([expected], abs=2e-7)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("red", 1500 / 10000, 0.5),
        ("red", 4000 / 10000, 1.0),
        ("ndvi", 0.5, 0.75),
        ("relative_elevation", 25.0, 0.75),
        ("slope", 45.0, 0.5),
        ("tc_wetness", 51.0, 0.2),
    ],
)
def test_first_generation_vectors(name, value, expected):
    assert see(specification([name], "v1"), value) == pytest.approx([expected], abs=2e-7)


def test_a_range_applies_to_optical_bands_only():
    spec = specification(VALUES, "0,0.4")
    assert (spec.bands[0].low, spec.bands[0].high) == (0.0, 0.4)
    assert [(band.low, band.high) for band in spec.bands[1:]] == [
        (CATALOGUE[name].low, CATALOGUE[name].high) for name in list(VALUES)[1:]
    ]


def test_a_range_without_optical_band_is_said(caplog):
    assert specification(["slope"], "v1") == specification(["slope"])
    assert "no effect" in caplog.text


@pytest.mark.parametrize("text", ["v3", "1", "0.3,0", "a,b", "0,inf", "0,0", "nan,1", "0,1,2", ""])
def test_bad_ranges_are_refused(text):
    with pytest.raises(UserError, match="--optical-range"):
        specification(["red"], text)


@pytest.mark.parametrize("fill", [0.0, -1.0, 0.5])
def test_no_data_becomes_the_fill(fill):
    spec = specification(["red", "slope"], None, fill)
    assert see(spec, np.nan, 45.0) == pytest.approx([fill, 0.5])
    older = np.array([[[np.nan]], [[0.25]]], np.float32)
    assert InputLayer(spec)(torch.from_numpy(older[None])).flatten().tolist() == [fill, 0.25]
    assert spec.normalise(older).flatten().tolist() == [fill, 0.25]


@st.composite
def specifications(draw):
    bands = []
    for index in range(draw(st.integers(1, 4))):
        low = draw(st.floats(-1e4, 1e4))
        span = draw(st.floats(1e-3, 1e5))
        scale, offset = draw(st.floats(1e-6, 1e3)), draw(st.floats(-1e4, 1e4))
        bands.append(Band(f"b{index}", scale, offset, low, low + span, draw(st.booleans())))
    return InputSpecification(tuple(bands), draw(st.floats(-2, 2, width=32)))


@given(specifications(), st.integers(0, 2**32 - 1))
def test_torch_and_numpy_give_the_same_bits(spec, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 65536, (2, len(spec.bands), 9, 7), np.uint16)
    codes[:, :, 0, :3] = [0, MAX_CODE, NODATA]
    expected = spec.normalise(codes)
    layer = InputLayer(spec)
    for view in (torch.from_numpy(codes.view(np.int16)), torch.from_numpy(codes)):
        assert np.array_equal(layer(view).numpy().view(np.uint32), expected.view(np.uint32))
    assert np.array_equal(expected == np.float32(spec.nodata_fill), (codes == NODATA) | (expected == spec.nodata_fill))
    seen = expected[codes != NODATA]
    assert seen.min() >= 0
    assert seen.max() <= 1


@given(specifications())
def test_the_config_gives_the_specification_back(spec):
    config = spec.to_config()
    assert InputSpecification.from_config(config) == spec
    assert config["bands"] == config["input_combination"] == list(spec.names)


def test_autocast_does_not_touch_the_codes():
    spec = specification(["red"])
    codes = torch.arange(1, 5001, dtype=torch.int16).reshape(1, 1, 50, 100)
    plain = InputLayer(spec)(codes)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = InputLayer(spec)(codes)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, plain)
    assert len(plain.unique()) == 5000


def test_the_layer_leaves_no_trace_in_a_state_dict():
    assert InputLayer(specification(["red"])).state_dict() == {}


@pytest.mark.parametrize("x", [torch.zeros(1, 2, 4, 4, dtype=torch.int16), torch.zeros(1, 1, 4, 4, dtype=torch.int64)])
def test_wrong_input_is_an_error(x):
    with pytest.raises(ValueError, match=r"expected|codes are"):
        InputLayer(specification(["red"]))(x)
    with pytest.raises(ValueError, match=r"expected|codes are"):
        specification(["red"]).normalise(x.numpy())


@pytest.mark.parametrize("key", ["bands", "ranges", "band_scales", "nodata_fill"])
def test_a_config_that_lacks_a_key_is_refused(key):
    config = specification(["red"]).to_config()
    del config[key]
    with pytest.raises(UserError, match=key):
        InputSpecification.from_config(config)


def test_nonsense_is_refused():
    config = specification(["red"]).to_config()
    for wrong in ({"ranges": [[1, 0]]}, {"ranges": [5]}, {"band_scales": [-1]}, {"band_scales": []}, {"bands": 3}):
        with pytest.raises(UserError, match="cannot be read"):
            InputSpecification.from_config(config | wrong)
    red = CATALOGUE["red"]
    for bands, fill in (((), 0.0), ((red, dataclasses.replace(red)), 0.0), ((red,), float("nan"))):
        with pytest.raises(UserError):
            InputSpecification(bands, fill)
