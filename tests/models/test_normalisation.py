"""What each normalisation makes of a patch: NumPy by the book against the layer, and the layer against its twin."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.dataset.band_numbers import BandNumbers
from darts_train.export import description
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.models.model_config import make_model_config, read_model_config
from darts_train.models.model_file import LoadedModel
from darts_train.models.normalisation import OF_SAMPLE, OF_SET
from darts_train.raster.band import NODATA, Band
from darts_train.training.augmentation.pipeline import Pipeline
from darts_train.training.augmentation.usual import USUAL

BANDS = (Band("red", 1e-4, -0.1, -0.1, 0.5, True), Band("dem", 0.01, -300.0, -50.0, 50.0))
NUMBERS = (
    BandNumbers(9, 0.2, 0.05, 0.01, 0.9, 0.1, 0.4),
    BandNumbers(9, 3.0, 20.0, -100.0, 250.0, -40.0, 60.0),
)


def spec_of(kind, fill=-1.0, bands=BANDS, numbers=NUMBERS):
    return InputSpecification.from_set(bands, None, fill, kind, lambda: numbers)


def some_codes(seed, shape=(2, 2, 9, 7), distinct=65535):
    random = np.random.default_rng(seed)
    codes = random.integers(0, distinct, shape).astype(np.uint16)
    codes[random.random(shape) < 0.1] = NODATA
    return codes


def by_the_book(values, kind):
    """float64 of one band of one patch, NaN for no data."""
    low, high = (
        np.nanpercentile(values, (1, 99)) if kind == "sample-quantile" else (np.nanmin(values), np.nanmax(values))
    )
    return np.clip((values - low) / (high - low), 0, 1)


@pytest.mark.parametrize("kind", OF_SET)
def test_statistics_of_the_set_say_what_is_0_and_1(kind):
    codes = some_codes(1)
    found = spec_of(kind).normalise(codes)
    for i, (band, numbers) in enumerate(zip(BANDS, NUMBERS, strict=True)):
        values = band.offset + band.scale * codes[:, i].astype(np.float64)
        if kind == "zscore":
            expected = (values - numbers.mean) / numbers.std
        else:
            ends = (numbers.minimum, numbers.maximum) if kind == "minmax" else (numbers.q01, numbers.q99)
            expected = np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1)
        expected[codes[:, i] == NODATA] = -1
        np.testing.assert_allclose(found[:, i], expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("kind", OF_SAMPLE)
def test_a_patch_is_its_own_measure(kind):
    codes = some_codes(2)
    found = spec_of(kind).normalise(codes)
    for patch, seen in zip(codes, found, strict=True):
        for band, channel, one in zip(BANDS, patch, seen, strict=True):
            values = np.where(channel == NODATA, np.nan, band.offset + band.scale * channel.astype(np.float64))
            expected = np.nan_to_num(by_the_book(values, kind), nan=-1.0)
            np.testing.assert_allclose(one, expected, atol=2e-6)


@pytest.mark.parametrize("kind", OF_SAMPLE)
def test_patches_do_not_see_each_other(kind):
    codes, spec = some_codes(3), spec_of(kind)
    assert np.array_equal(spec.normalise(codes)[1], spec.normalise(codes[1]))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from((*OF_SET, *OF_SAMPLE)), st.integers(0, 2**32 - 1), st.sampled_from((1, 2, 65535)))
def test_torch_and_numpy_give_the_same_bits(kind, seed, distinct):
    codes, spec = some_codes(seed, distinct=distinct), spec_of(kind)
    codes[0, 0] = NODATA
    codes[0, 1, 1:] = NODATA  # few valid ones
    expected = spec.normalise(codes)
    assert np.isfinite(expected).all()
    assert (expected[codes == NODATA] == -1).all()
    found = InputLayer(spec)(torch.from_numpy(codes.view(np.int16))).numpy()
    assert np.array_equal(found.view(np.uint32), expected.view(np.uint32))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(OF_SAMPLE), st.integers(0, 2**32 - 1))
def test_older_floats_are_scaled_by_sample_too(kind, seed):
    random, spec = np.random.default_rng(seed), spec_of(kind, 0.0)
    values = random.random((2, 2, 5, 5)).astype(np.float32)
    values[random.random(values.shape) < 0.2] = np.nan
    expected = spec.normalise(values)
    assert np.array_equal(InputLayer(spec)(torch.from_numpy(values)).numpy().view(np.uint32), expected.view(np.uint32))
    assert np.isfinite(expected).all()


def test_statistics_are_of_no_use_for_values_without_units():
    values = np.zeros((2, 2, 2), np.float32)
    for see in (spec_of("zscore").normalise, lambda x: InputLayer(spec_of("zscore"))(torch.from_numpy(x)[None])):
        with pytest.raises(ValueError, match="these have none"):
            see(values)


@pytest.mark.parametrize("kind", ["ranges", *OF_SET, *OF_SAMPLE])
def test_a_model_file_and_an_export_say_how(kind, monkeypatch):
    monkeypatch.setattr(description, "stride", lambda *_: 32)  # builds a network
    spec = spec_of(kind)
    config = make_model_config("Linknet", "tu-lcnet_035", None, spec, ("background", "slump"), 32, 255)
    facts = read_model_config(config)
    assert facts.spec == spec
    assert facts.normalisation == config["normalisation"] == kind.replace("ranges", "range")
    assert ("statistics" in config) == (kind in OF_SET)
    network = torch.nn.Linear(1, 1)
    loaded = LoadedModel(network, facts.spec, facts.classes, 0.5, 32, {}, config)
    props = {key: json.dumps(value) for key, value in description.describe(loaded, 0.0, True).items()}
    assert InputSpecification.from_config({key: json.loads(text) for key, text in props.items()}) == spec


def test_the_default_writes_what_it_always_wrote():
    spec = InputSpecification.from_set(BANDS, None, 0.0)
    assert spec == spec_of("ranges", 0.0)
    assert spec.to_config() == {
        "bands": ["red", "dem"],
        "input_combination": ["red", "dem"],
        "normalisation": "range",
        "ranges": [[-0.1, 0.5], [-50.0, 50.0]],
        "band_scales": [1e-4, 0.01],
        "band_offsets": [-0.1, -300.0],
        "optical_bands": ["red"],
        "nodata_fill": 0.0,
    }


@pytest.mark.parametrize("wrong", [{"normalisation": "other"}, {"statistics": [{}]}, {"statistics": 3}])
def test_a_config_that_says_something_else_is_refused(wrong):
    with pytest.raises(UserError, match=r"normalisation|statistics|input specification"):
        InputSpecification.from_config(spec_of("zscore").to_config() | wrong)


def test_two_ways_at_once_are_refused():
    with pytest.raises(UserError, match="exclude each other"):
        InputSpecification.from_set(BANDS, "v1", 0.0, "zscore", lambda: NUMBERS)
    with pytest.raises(UserError, match="none of ranges, zscore"):
        spec_of("z-score")


@pytest.mark.parametrize("kind", OF_SET)
def test_a_constant_band_becomes_0_and_an_empty_one_is_refused(kind, caplog):
    constant = BandNumbers(9, 0.2, 0.0, 0.2, 0.2, 0.2, 0.2)
    spec = spec_of(kind, numbers=(constant, NUMBERS[1]))
    assert abs(float(spec.normalise(np.full((2, 1, 1), 3000, np.uint16))[0, 0, 0])) < 1e-6
    assert "has the value 0.2 all over" in caplog.text
    nothing = BandNumbers(0, *[float("nan")] * 6)
    with pytest.raises(UserError, match="band red has no valid pixel"):
        spec_of(kind, numbers=(nothing, NUMBERS[1]))


def test_quantiles_that_fall_together_give_way_to_the_whole_range():
    sparse = dataclasses.replace(NUMBERS[1], q01=0.0, q99=0.0)
    assert spec_of("quantile", numbers=(NUMBERS[0], sparse)).bands[1].high == 250.0


def test_light_is_altered_the_same_whatever_stands_for_it():
    spec, plain = spec_of("zscore"), InputSpecification(BANDS)
    values = np.random.default_rng(5).uniform(0.05, 0.3, (2, 1, 8, 8))
    codes = np.rint((values + 0.1) / 1e-4).astype(np.uint16).repeat(2, axis=1)
    zeros = torch.from_numpy(spec.zeros())[:, None, None]
    reflectance = torch.from_numpy((codes * 1e-4 - 0.1).astype(np.float32))

    def altered(x, zeros):
        pipeline = Pipeline(USUAL[1:], BANDS, 0.0, 255, zeros)
        return pipeline(x, torch.zeros(2, 8, 8), lambda x, part, out: x.clone() if out is None else out.copy_(x), 1)[0]

    found = altered(torch.from_numpy(spec.normalise(codes)), zeros)[:, 0] * 0.05 + 0.2
    assert torch.allclose(found, altered(reflectance, torch.zeros(2, 1, 1))[:, 0], atol=1e-5)
    assert not torch.allclose(found, reflectance[:, 0], atol=1e-3)
    assert plain.clipped
