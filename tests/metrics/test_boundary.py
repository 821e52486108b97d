import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion

from darts_train.metrics.boundary import BoundaryIoU, boundary, boundary_width

seeds = st.integers(0, 2**32 - 1)


def blobs(seed, side=40):
    random = np.random.default_rng(seed)
    mask = np.zeros((side, side), bool)
    for r, c, h, w in random.integers(0, side - 1, (4, 4)):
        mask[r : r + h + 1, c : c + w + 1] = True
    return mask & (random.random((side, side)) < 0.98)


@pytest.mark.parametrize(("shape", "width"), [((896, 896), 25), ((1024, 1024), 29), ((32, 32), 1), ((1, 1), 1)])
def test_the_width_is_two_percent_of_the_diagonal(shape, width):
    assert boundary_width(shape) == width


@given(seeds, st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_a_boundary_is_what_repeated_erosion_takes(seed, width):
    mask = blobs(seed)
    eroded = binary_erosion(mask, np.ones((3, 3)), iterations=width)
    np.testing.assert_array_equal(boundary(mask, width), mask & ~eroded)


def test_wide_boundaries_and_large_numbers_do_not_overflow():
    mask = np.ones((300, 300), bool)
    assert boundary(mask, 60).sum() == 300**2 - 180**2
    state = BoundaryIoU()
    for _ in range(3):
        state.update(np.ones((700, 700), bool), np.ones((700, 700), bool), np.zeros((700, 700), bool))
    assert state.union == 3 * (700**2 - 660**2)


def test_the_score_is_that_of_the_bands():
    truth, predicted = np.zeros((2, 50, 50), bool)
    truth[10:20, 10:20] = predicted[10:20, 11:21] = True  # rings of 36, d = 1
    state = BoundaryIoU()
    state.update(truth, predicted, np.zeros_like(truth))
    assert state.compute() == pytest.approx(18 / (36 + 36 - 18))


@given(seeds, seeds)
@settings(max_examples=25, deadline=None)
def test_images_do_not_change_each_other(first, second):
    """An empty image beside a full one, a thin mask beside a thick one: sums of single images, always."""
    pairs = [(blobs(first), blobs(second)), (blobs(second), np.zeros((40, 40), bool)), (np.zeros((40, 40), bool),) * 2]
    together, alone = BoundaryIoU(), [BoundaryIoU() for _ in pairs]
    for one, (truth, predicted) in zip(alone, pairs, strict=True):
        for state in (one, together):
            state.update(truth, predicted, np.zeros_like(truth))
    assert together.union == sum(state.union for state in alone)
    assert together.intersection == sum(state.intersection for state in alone)
    assert math.isnan(alone[2].compute())


@given(seeds, seeds)
@settings(max_examples=25, deadline=None)
def test_ignored_pixels_have_no_say(seed, other):
    truth, ignored = blobs(seed), blobs(other)
    state = BoundaryIoU()
    state.update(truth, np.where(ignored, blobs(other + 1), truth), ignored)
    assert math.isnan(state.compute()) or state.compute() == 1
    assert state.union <= int((~ignored).sum())


def test_nothing_is_not_a_number_and_a_mask_missed_is_zero():
    state = BoundaryIoU()
    assert math.isnan(state.compute())
    state.update(np.zeros((9, 9), bool), np.zeros((9, 9), bool), np.zeros((9, 9), bool))
    assert math.isnan(state.compute())
    state.update(np.ones((9, 9), bool), np.zeros((9, 9), bool), np.zeros((9, 9), bool))
    assert state.compute() == 0
