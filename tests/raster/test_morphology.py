"""Opening, closing and median on the part of the plane that is known."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from darts_train.raster.morphology import box_sum, closed, dilated, eroded, majority, opened

cases = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 14), st.integers(1, 14), st.sampled_from([3, 5, 7]))


def drawn(seed, height, width, classes=2, known=0.9):
    rng = np.random.default_rng(seed)
    return rng.integers(0, classes, (height, width)).astype(np.uint8), rng.random((height, width)) < known


@settings(max_examples=15, deadline=None)
@given(case=cases)
def test_opening_shrinks_closing_grows_and_twice_is_once(case):
    seed, height, width, size = case
    classes, known = drawn(seed, height, width)
    small, large = opened(classes, known, size, 2), closed(classes, known, size, 2)
    assert (small[known] <= classes[known]).all()
    assert (large[known] >= classes[known]).all()
    for result, again in ((small, opened(small, known, size, 2)), (large, closed(large, known, size, 2))):
        assert np.array_equal(result, again)
        assert np.array_equal(result[~known], classes[~known])


@settings(max_examples=12, deadline=None)
@given(case=cases)
def test_erosion_and_dilation_look_at_known_pixels_only(case):
    seed, height, width, size = case
    classes, known = drawn(seed, height, width)
    mask, reach = classes == 1, size // 2
    smaller, larger = eroded(mask & known, known, size), dilated(mask & known, known, size)
    for y in range(height):
        for x in range(width):
            around = slice(max(0, y - reach), y + reach + 1), slice(max(0, x - reach), x + reach + 1)
            seen = mask[around][known[around]]
            assert smaller[y, x] == (known[y, x] and seen.all())
            assert larger[y, x] == (known[y, x] and seen.any())


def test_where_all_is_known_inner_pixels_are_as_scipy_has_them():
    mask = np.random.default_rng(1).random((40, 40)) < 0.6
    known = np.ones_like(mask)
    inner = slice(6, -6), slice(6, -6)
    expected = ndimage.binary_opening(mask, np.ones((5, 5)))
    assert np.array_equal(opened(mask.view(np.uint8), known, 5, 2)[inner] == 1, expected[inner])
    filled = ndimage.binary_closing(mask, np.ones((3, 3)))
    assert np.array_equal(closed(mask.view(np.uint8), known, 3, 2)[inner] == 1, filled[inner])


@settings(max_examples=12, deadline=None)
@given(case=cases, classes=st.integers(2, 4))
def test_the_majority_is_counted(case, classes):
    seed, height, width, size = case
    found, known = drawn(seed, height, width, classes)
    result, reach = majority(found, known, size, classes), size // 2
    for y in range(height):
        for x in range(width):
            if not known[y, x]:
                assert result[y, x] == found[y, x]
                continue
            around = slice(max(0, y - reach), y + reach + 1), slice(max(0, x - reach), x + reach + 1)
            votes = np.bincount(found[around][known[around]], minlength=classes)
            own = found[y, x]
            assert result[y, x] == (own if votes[own] == votes.max() else votes.argmax())


def test_the_majority_of_two_classes_is_the_median():
    mask = (np.random.default_rng(2).random((30, 30)) < 0.5).astype(np.uint8)
    expected = ndimage.median_filter(mask, 5)
    assert np.array_equal(majority(mask, np.ones(mask.shape, bool), 5, 2)[2:-2, 2:-2], expected[2:-2, 2:-2])
    assert box_sum(np.ones((3, 3), bool), 3).tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]


def test_the_lower_class_takes_a_gap_that_both_reach():
    classes = np.array([[1, 1, 1, 0, 2, 2, 2]] * 7, np.uint8)
    known = np.ones(classes.shape, bool)
    assert closed(classes, known, 3, 3)[3].tolist() == [1, 1, 1, 0, 2, 2, 2]  # neither closes over the other
    classes[3, 3], classes[:, 4:] = 0, 1
    classes[0, 3] = 1
    assert closed(classes, known, 3, 3)[3].tolist() == [1] * 7
