"""torchmetrics and scikit-learn are the oracles: the same pixels, their answer and ours."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from torchmetrics.classification import BinaryConfusionMatrix

from darts_train.metrics.curves import auroc, average_precision, best_thresholds, curves
from darts_train.metrics.histogram import BINS, binary_histogram, confusion_at, counts_above

IGNORE = 255


def pixels(seed, n=5000, ignored=0.1):
    g = torch.Generator().manual_seed(seed)
    target = (torch.rand(n, generator=g) < 0.3).to(torch.uint8)
    probability = (0.6 * torch.rand(n, generator=g) + 0.35 * target).clamp(0, 1)
    target[torch.rand(n, generator=g) < ignored] = IGNORE
    return probability, target


def test_a_histogram_counts_every_valid_pixel_once():
    probability, target = pixels(1)
    histogram = binary_histogram(probability, target, IGNORE)
    assert histogram.shape == (2, BINS)
    assert histogram.dtype == torch.int64
    assert histogram.sum(1).tolist() == [int((target == 0).sum()), int((target == 1).sum())]


@pytest.mark.parametrize("edge", [0, 1, 511, 512, 1023])
def test_a_probability_on_an_edge_is_not_above_it(edge):
    value = torch.tensor([edge / BINS])
    histogram = binary_histogram(value, torch.tensor([1]), IGNORE)
    above, _ = counts_above(histogram)
    # Bin 0 also holds 0 itself, which nothing tells apart from what lies just above.
    assert int(above[edge]) == (1 if edge == 0 else 0)
    assert int(above[max(edge - 1, 0)]) == 1


@pytest.mark.parametrize("value", [0.5, np.nextafter(np.float32(0.5), np.float32(1))])
def test_one_half_is_background_and_the_next_float_is_not(value):
    histogram = binary_histogram(torch.tensor([value], dtype=torch.float32), torch.tensor([1]), IGNORE)
    assert confusion_at(histogram).tolist() == [[0, 0], [int(value == 0.5), int(value > 0.5)]]


@given(st.integers(0, 2**32 - 1), st.sampled_from([1 / 1024, 0.25, 0.5, 0.75, 1000 / 1024]))
@settings(max_examples=25, deadline=None)
def test_counts_at_any_edge_equal_torchmetrics(seed, threshold):
    probability, target = pixels(seed, n=300)
    oracle = BinaryConfusionMatrix(threshold=threshold, ignore_index=IGNORE)(probability, target.long())
    assert torch.equal(confusion_at(binary_histogram(probability, target, IGNORE), threshold), oracle)


def test_bad_probabilities_do_not_leave_the_histogram():
    values = torch.tensor([float("nan"), -1.0, 2.0, float("inf"), -float("inf")])
    histogram = binary_histogram(values, torch.ones(5, dtype=torch.uint8), IGNORE)
    assert int(histogram[1, 0]) == 3
    assert int(histogram[1, -1]) == 2


def test_areas_agree_with_scikit_learn():
    probability, target = pixels(2)
    valid = target != IGNORE
    histogram = binary_histogram(probability, target, IGNORE)
    y, p = target[valid].numpy(), probability[valid].numpy()
    assert auroc(histogram) == pytest.approx(roc_auc_score(y, p), abs=1e-3)
    assert average_precision(histogram) == pytest.approx(average_precision_score(y, p), abs=2e-3)


def test_areas_are_exact_where_probabilities_are_bins():
    g = torch.Generator().manual_seed(3)
    p = torch.randint(1, BINS + 1, (4000,), generator=g) / BINS
    y = (torch.rand(4000, generator=g) < p * 0.7).to(torch.uint8)
    histogram = binary_histogram(p, y, IGNORE)
    assert auroc(histogram) == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert average_precision(histogram) == pytest.approx(average_precision_score(y, p), abs=1e-12)


@pytest.mark.parametrize("target", [[], [0, 0, 0], [IGNORE, IGNORE, IGNORE]])
def test_without_positives_the_areas_are_zero(target):
    histogram = binary_histogram(torch.rand(len(target)), torch.tensor(target, dtype=torch.uint8), IGNORE)
    assert auroc(histogram) == 0
    assert average_precision(histogram) == 0


def test_the_best_threshold_is_the_best():
    p = torch.tensor([0.1, 0.2, 0.3, 0.35, 0.8])
    y = torch.tensor([0, 0, 1, 1, 1], dtype=torch.uint8)
    best = best_thresholds(binary_histogram(p, y, IGNORE))
    assert best["default"] == {
        "threshold": 0.5,
        "F1Score": 0.5,
        "JaccardIndex": pytest.approx(1 / 3),
        "Precision": 1.0,
        "Recall": pytest.approx(1 / 3),
    }
    assert 0.2 < best["best_f1"]["threshold"] < 0.3
    assert best["best_f1"]["F1Score"] == best["best_iou"]["JaccardIndex"] == 1


def test_curves_run_from_all_to_nothing():
    curve = curves(binary_histogram(*pixels(4), IGNORE))
    assert (curve.recall[0], curve.fall_out[0]) == (1, 1)
    assert (curve.recall[-1], curve.fall_out[-1], curve.precision[-1]) == (0, 0, 1)
    assert (np.diff(curve.recall) <= 0).all()
