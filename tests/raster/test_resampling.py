import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from darts_train.raster.resampling import fitted_size, resample_classes, resample_values

SIDES = st.integers(1, 40)


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 2**32 - 1))
def test_values_are_those_of_another_bilinear_with_antialias(height, width, rows, columns, seed):
    values = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    expected = np.array(Image.fromarray(values).resize((columns, rows), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(resample_values(values[None], rows, columns)[0], expected, atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 2**32 - 1))
def test_no_data_neither_leaks_nor_spreads(height, width, rows, columns, seed):
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((1, height, width)) < 0.3, np.nan, 7.0).astype(np.float32)
    result = resample_values(values, rows, columns)
    present = result[~np.isnan(result)]
    np.testing.assert_allclose(present, 7.0, rtol=1e-6)
    assert np.isnan(resample_values(np.full_like(values, np.nan), rows, columns)).all()


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_class_has_the_pixels_of_which_it_covers_most(factor):
    classes = np.random.default_rng(factor).choice([0, 1, 255], (6 * factor, 4 * factor)).astype(np.uint8)
    blocks = classes.reshape(6, factor, 4, factor).swapaxes(1, 2).reshape(6, 4, -1)
    counts = np.stack([(blocks == value).sum(axis=2) for value in (0, 1, 255)])
    assert np.array_equal(resample_classes(classes, 6, 4), np.array([0, 1, 255])[counts.argmax(axis=0)])


@settings(max_examples=30, deadline=None)
@given(SIDES, SIDES, st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_classes_made_larger_and_smaller_again_are_the_same(height, width, factor, seed):
    classes = np.random.default_rng(seed).integers(0, 4, (height, width)).astype(np.uint8)
    larger = resample_classes(classes, height * factor, width * factor)
    assert np.array_equal(larger, classes.repeat(factor, 0).repeat(factor, 1))
    assert np.array_equal(resample_classes(larger, height, width), classes)


def test_sizes():
    assert fitted_size("resize", 800, 600, 256) == (256, 256)
    assert fitted_size("letterbox", 800, 600, 256) == (256, 192)
    assert fitted_size("letterbox", 10, 5000, 256) == (1, 256)
    assert fitted_size("pad", 80, 60, 256) == fitted_size("tile", 80, 60, 256) == (80, 60)
