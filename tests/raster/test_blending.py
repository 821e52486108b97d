"""Weights of overlapping windows are a partition of unity: a constant comes back, whatever the sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_train.raster.blending import axis_weights, ramp
from darts_train.raster.patches import patch_starts


@st.composite
def axes(draw):
    window = draw(st.integers(1, 64))
    return draw(st.integers(1, 400)), window, draw(st.integers(0, window - 1))


def summed(size, window, overlap):
    starts = patch_starts(size, window, overlap)
    total = np.zeros(max(size, window), np.float32)
    for start, weights in zip(starts, axis_weights(starts, window, overlap, size), strict=True):
        total[start : start + window] += weights.astype(np.float32)
    return total


@given(axes())
def test_weights_sum_to_one_everywhere(axis):
    total = summed(*axis)
    assert np.abs(total[: axis[0]] - 1).max() < 1e-6
    assert not total[axis[0] :].any()


@given(axes(), axes(), st.floats(0, 1, width=32))
def test_a_constant_field_comes_back(rows, columns, value):
    field = np.outer(summed(*rows)[: rows[0]], summed(*columns)[: columns[0]]) * value
    assert np.abs(field - value).max() < 1e-6


@given(axes())
def test_every_prediction_counts(axis):
    size, window, overlap = axis
    starts = patch_starts(size, window, overlap)
    for start, weights in zip(starts, axis_weights(starts, window, overlap, size), strict=True):
        inside = weights[: max(0, size - start)]
        assert (inside > 0).all()
        assert weights.max() <= 1


def test_the_ramp_is_linear_and_symmetric():
    assert ramp(8, 3).tolist() == [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25]
    assert ramp(4, 0).tolist() == [1, 1, 1, 1]
    assert ramp(5, 4).tolist() == pytest.approx([0.2, 0.4, 0.6, 0.4, 0.2])


def test_gaps_are_an_error():
    with pytest.raises(ValueError, match="uncovered"):
        axis_weights([0, 20], 10, 0, 30)
