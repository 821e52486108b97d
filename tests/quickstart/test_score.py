"""A map against the truth: counts of pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import jaccard_score

from darts_train.quickstart.score import score_map

BINARY = ("background", "cloud")
masks = arrays(np.uint8, (6, 7), elements=st.integers(0, 3))


@given(truth=masks, found=masks)
def test_every_class_agrees_with_scikit_learn(truth, found):
    names = ("a", "b", "c", "d")
    score = score_map(truth, found, names)
    for index, name in enumerate(names):
        if name in score.per_class:
            theirs = jaccard_score(truth.ravel() == index, found.ravel() == index)
            assert score.per_class[name] == pytest.approx(theirs)
        else:
            assert index not in truth
            assert index not in found


def test_two_classes_are_scored_by_the_foreground():
    truth = np.array([[1, 1, 0, 0]], np.uint8)
    found = np.array([[1, 0, 1, 0]], np.uint8)
    score = score_map(truth, found, BINARY)
    assert score.per_class["cloud"] == pytest.approx(1 / 3)
    assert score.mean == score.per_class["cloud"]


def test_pixels_without_a_label_do_not_count():
    truth = np.array([[1, 255, 0]], np.uint8)
    found = np.array([[1, 0, 0]], np.uint8)
    assert score_map(truth, found, BINARY).mean == 1.0


def test_no_data_in_the_map_is_a_miss():
    truth = np.array([[1, 1]], np.uint8)
    found = np.array([[1, 255]], np.uint8)
    assert score_map(truth, found, BINARY).mean == 0.5


def test_classes_that_the_truth_lacks_do_not_enter_the_mean():
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    found = np.array([[0, 0, 1, 2]], np.uint8)
    score = score_map(truth, found, ("land", "cloud", "snow"))
    assert score.per_class["snow"] == 0.0
    assert score.mean == pytest.approx((1.0 + 0.5) / 2)


def test_without_any_class_to_find_there_is_no_mean():
    nothing = np.zeros((2, 2), np.uint8)
    assert np.isnan(score_map(nothing, nothing, BINARY).mean)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shapes"):
        score_map(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8), BINARY)
