"""Patches that a network does not take: padded or resampled on the way in, cropped or resampled on the way out."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.models.factory import padding_multiple
from darts_train.models.fit import Fit, fitted
from darts_train.models.input_spec import InputLayer, InputSpecification
from darts_train.models.model_config import make_model_config, plain_config, read_model_config
from darts_train.raster.band import Band

SPEC = InputSpecification((Band("red", 1e-4, 0.0, 0.0, 0.3, True), Band("slope", 0.01, 0.0, 0.0, 90.0)), 0.25)


def config(fit=None, patch_size=40):
    return make_model_config("Unet", "resnet18", None, SPEC, ("a", "b"), patch_size, 255, fit=fit)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from([1, 8, 32]))
def test_padding_has_no_data_and_is_cropped_again(height, width, multiple):
    fit, x = Fit("pad", multiple, 40, 0.25), torch.rand(1, 2, height, width)
    image = fit.image(x)
    assert image.shape[-2:] == (fit.side(height), fit.side(width))
    assert all(0 <= fit.side(side) - side < multiple and fit.side(side) % multiple == 0 for side in (height, width))
    assert (image[..., height:, :] == 0.25).all()
    assert (image[..., width:] == 0.25).all()
    assert torch.equal(fit.logits(image, height, width), x)


def test_a_tile_is_left_as_it_is():
    fit, x = Fit("tile", 40, 40, 0.0), torch.rand(1, 2, 33, 40)
    assert fit.image(x) is x
    assert fit.logits(x, 33, 40) is x
    network = torch.nn.Conv2d(2, 1, 1)
    assert fitted(network, fit) is network


def test_a_window_is_resampled_by_the_factor_of_a_patch():
    fit = Fit("resize", 96, 40, 0.0)
    assert [fit.side(side) for side in (40, 80, 20, 5, 1)] == [96, 192, 48, 12, 2]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(2, 60), st.floats(-3, 3, width=32))
def test_what_is_the_same_everywhere_stays_so_around_gaps(side, target, value):
    x = torch.full((1, 1, side, side), value)
    x[..., : side // 2, : side // 2] = math.nan
    found = Fit("resize", target, side, 7.0).image(x)
    assert found.shape[-2:] == (target, target)
    assert (found[found != 7.0] - value).abs().max() < 1e-4
    whole = Fit("resize", target, side, 7.0).image(torch.full_like(x, value))
    assert (whole - value).abs().max() < 1e-4


def test_no_data_does_not_bleed_and_keeps_its_place():
    """The halves are told apart, as plain interpolation of the fill would not do."""
    x = torch.full((1, 1, 8, 8), 0.75)
    x[..., :4] = math.nan
    for target in (16, 4):
        found = Fit("resize", target, 8, -1.0).image(x)
        assert (found[..., : target // 2] == -1).all()
        assert (found[..., target // 2 :] == 0.75).all()


def test_values_are_those_of_torch_where_all_have_data():
    x = torch.rand(2, 3, 20, 20)
    for target, antialias in ((33, False), (10, True)):
        expected = torch.nn.functional.interpolate(x, (target, target), mode="bilinear", antialias=antialias)
        torch.testing.assert_close(Fit("resize", target, 20, 0.0).image(x), expected)


def test_a_marked_layer_leaves_no_data_as_nan_and_shows_its_fill():
    codes = torch.tensor([0, 100, -1], dtype=torch.int16).expand(1, 2, 1, 3)
    marked, plain = InputLayer(SPEC, marked=True), InputLayer(SPEC)
    found = marked(codes)
    assert found.isnan().tolist() == [[[[False, False, True]]] * 2]
    assert torch.equal(marked.shown(found), plain(codes))
    assert plain.shown(found) is found
    values = torch.tensor([0.5, math.nan]).expand(1, 2, 1, 2)
    assert marked(values).isnan().tolist() == values.isnan().tolist()


def test_the_config_says_it_and_the_default_says_what_it_always_did():
    assert (config()["fit"], "fit_size" in config(), "fit_size" in plain_config(config())) == ("tile", False, False)
    for kind, size in (("pad", 32), ("resize", 96)):
        facts = read_model_config(config((kind, size)))
        assert facts.fitting == Fit(kind, size, 40, 0.25)
        assert read_model_config(plain_config(config((kind, size)))).fitting == facts.fitting
    for changes in (
        {"fit": "pad"},
        {"fit_size": 32},
        {"fit": "stretch", "fit_size": 32},
        {"fit": "pad", "fit_size": 0},
    ):
        with pytest.raises(UserError, match="its config is wrong"):
            read_model_config({**config(), **changes})


@pytest.mark.parametrize(
    ("arch", "encoder", "size", "multiple"),
    [
        ("Unet", "resnet18", 40, 32),
        ("Unet", "resnet18", 64, 32),
        ("DeepLabV3", "resnet18", 40, 8),
        ("PAN", "resnet18", 40, 128),
    ],
)
def test_patches_are_padded_to_the_stride_or_to_what_the_network_takes(arch, encoder, size, multiple):
    assert padding_multiple(arch, encoder, size) == multiple
