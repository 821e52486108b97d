"""Pictures of a scene, its truth and its map."""

import io

import numpy as np
from matplotlib.image import imread

from darts_train.figures.maps import (
    AGREEMENT,
    MISSING,
    agreement,
    class_colour,
    hex_colour,
    png,
    true_colour,
    with_classes,
)


def bands(seed=0, size=8):
    return np.random.default_rng(seed).random((3, size, size), dtype=np.float32)


def test_the_stretch_keeps_order_and_uses_the_whole_range():
    red, green, blue = bands()
    picture = true_colour(red, green, blue)
    assert picture.shape == (8, 8, 3)
    assert picture.min() == 0
    assert picture.max() == 255
    order = np.argsort(red.ravel())
    assert (np.diff(picture[..., 0].ravel()[order].astype(int)) >= 0).all()


def test_pixels_without_data_are_grey():
    red, green, blue = bands()
    green[2, 3] = np.nan
    picture = true_colour(red, green, blue)
    assert tuple(picture[2, 3]) == MISSING
    nothing = np.full((4, 4), np.nan, np.float32)
    assert (true_colour(nothing, nothing, nothing) == MISSING[0]).all()


def test_a_flat_scene_is_a_picture_too():
    flat = np.full((4, 4), 0.3, np.float32)
    assert true_colour(flat, flat, flat).shape == (4, 4, 3)


def test_only_foreground_is_coloured():
    picture = true_colour(*bands())
    classes = np.zeros((8, 8), np.uint8)
    classes[0, 0], classes[0, 1], classes[0, 2] = 1, 2, 255
    result = with_classes(picture, classes)
    changed = (result != picture).any(axis=-1)
    assert changed[0, 0]
    assert changed[0, 1]
    assert changed.sum() == 2
    assert class_colour(1) != class_colour(2)


def test_agreement_tells_found_missed_and_false_alarm_apart():
    picture = true_colour(*bands(size=2))
    truth = np.array([[True, True], [False, False]])
    found = np.array([[True, False], [True, False]])
    result = agreement(picture, truth, found)
    assert tuple(result[0, 0]) == AGREEMENT["found"]
    assert tuple(result[0, 1]) == AGREEMENT["missed"]
    assert tuple(result[1, 0]) == AGREEMENT["false alarm"]
    assert len(set(result[1, 1].tolist())) == 1  # the rest is grey


def test_png_holds_the_very_pixels():
    picture = true_colour(*bands())
    again = imread(io.BytesIO(png(picture)), format="png")
    np.testing.assert_array_equal(np.rint(again[..., :3] * 255).astype(np.uint8), picture)


def test_colours_are_written_as_browsers_read_them():
    assert hex_colour((0, 158, 115)) == "#009e73"
