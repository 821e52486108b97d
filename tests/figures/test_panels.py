import io

import numpy as np
import pytest
from matplotlib.image import imread

from darts_train.figures.panels import (
    EXTRA,
    HIT,
    IGNORED,
    MISSED,
    PAINT,
    _scores,
    agreement_image,
    class_image,
    rgb_image,
    sample_panel,
    thinned,
)


def picture(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    return imread(io.BytesIO(png))


@pytest.mark.parametrize("names", [("blue", "green", "red"), ("a",), ("a", "b"), ("a", "b", "c", "d")])
def test_any_bands_give_a_colour_image(names):
    x = np.random.default_rng(0).random((len(names), 6, 5)).astype(np.float32)
    x[0, 0, 0] = np.nan
    rgb = rgb_image(x, names)
    assert rgb.shape == (6, 5, 3)
    assert np.isfinite(rgb).all()
    assert rgb.min() >= 0
    assert rgb.max() <= 1


def test_red_is_red_whatever_the_order():
    x = np.zeros((3, 4, 4), np.float32)
    x[2, :2] = 1  # red
    rgb = rgb_image(x, ("blue", "green", "red"))
    assert rgb[0, 0, 0] == 1
    assert rgb[0, 0, 1] == rgb[0, 0, 2] == 0


def test_agreement_colours():
    target = np.array([[1, 0, 1, 0, 255, 2]])
    predicted = np.array([[1, 1, 0, 0, 1, 1]])
    painted = agreement_image(np.zeros((1, 6, 3)), target, predicted, 255)[0]
    expected = [HIT, EXTRA, MISSED, (0, 0, 0), IGNORED, EXTRA]
    np.testing.assert_allclose(painted, PAINT * np.array(expected))


def test_classes_have_colours_and_the_background_is_white():
    colours = class_image(np.arange(12).reshape(3, 4))
    assert tuple(colours[0, 0]) == (1, 1, 1)
    assert len({tuple(c) for c in colours.reshape(-1, 3)}) == 10  # nine colours, then again from the first


@pytest.mark.parametrize("prediction", [np.full((8, 8), 0.7, np.float32), np.full((8, 8), 2)])
@pytest.mark.parametrize("names", [("red", "green", "blue"), ("blue", "green", "red", "nir", "slope")])
def test_a_sample_is_a_picture_that_grows_with_further_bands(prediction, names):
    x = np.random.default_rng(0).random((len(names), 8, 8)).astype(np.float32)
    x[:, 0] = np.nan
    png = sample_panel(x, names, np.full((8, 8), 255), prediction, 255, "patch 1: scene", ("land", "ice", "water"))
    assert picture(png).shape[:2] == (430 if len(names) == 3 else 620, 1300)


def test_scores_of_a_patch_are_those_of_its_valid_pixels():
    target, predicted = np.array([[1, 1, 0, 0, 255, 2]]), np.array([[1, 0, 1, 0, 1, 1]])
    assert _scores(target, predicted, 255) == "accuracy 0.400, F1 0.333, IoU 0.200"
    assert _scores(np.zeros((2, 2)), np.zeros((2, 2)), 255) == "accuracy 1.000, nothing to find"
    assert "nothing to find" in _scores(np.full((2, 2), 255), np.ones((2, 2)), 255)


@pytest.mark.parametrize(("side", "drawn"), [(512, 512), (513, 257), (1024, 512), (8, 8)])
def test_large_patches_are_thinned_out(side, drawn):
    assert thinned(np.zeros((2, side, side))).shape == (2, drawn, drawn)
