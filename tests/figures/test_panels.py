import io

import numpy as np
import pytest
from matplotlib.image import imread

from darts_train.figures.panels import (
    EXTRA,
    HIT,
    IGNORED,
    MISSED,
    agreement_image,
    class_image,
    confusion_panel,
    curve_panel,
    rgb_image,
    sample_panel,
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
    np.testing.assert_allclose(painted, 0.5 * np.array(expected))


def test_classes_have_colours_and_the_background_is_white():
    colours = class_image(np.arange(12).reshape(3, 4))
    assert tuple(colours[0, 0]) == (1, 1, 1)
    assert len({tuple(c) for c in colours.reshape(-1, 3)}) == 10  # nine colours, then again from the first


@pytest.mark.parametrize("prediction", [np.full((8, 8), 0.7, np.float32), np.full((8, 8), 2)])
def test_a_sample_is_a_picture(prediction):
    x = np.random.default_rng(0).random((3, 8, 8)).astype(np.float32)
    png = sample_panel(x, ("red", "green", "blue"), np.full((8, 8), 255), prediction, 255, "patch 1: scene")
    assert picture(png).shape[:2] == (400, 1400)


def test_test_figures_are_pictures_also_without_support():
    assert picture(confusion_panel(np.array([[10, 2], [0, 0]]), ("background", "slump"))).std() > 0
    assert picture(curve_panel(np.zeros(3), np.zeros(3), "x", "y", "empty")).std() > 0
