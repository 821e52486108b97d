"""What is chosen after training: weights of a mixture, a cut with its doubt, a temperature."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from darts_train.metrics.mixture import log_loss, mixture_weights
from darts_train.metrics.reliability import cross_entropy, reliability, temperature
from darts_train.metrics.thresholds import best_cut


@given(st.integers(1, 4), st.integers(1, 60), st.integers(0, 2**16))
@settings(max_examples=30, deadline=None)
def test_weights_of_a_mixture_are_the_best(members, pixels, seed):
    said = np.random.default_rng(seed).uniform(0.02, 1, (members, pixels))
    weights = mixture_weights(said)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)

    def loss(free):
        return log_loss(said, np.abs(free) / np.abs(free).sum())

    best = min(
        (minimize(loss, start, method="Nelder-Mead").fun for start in [np.ones(members), *np.eye(members)]),
        default=0.0,
    )
    assert log_loss(said, weights) <= best + 2e-5


def test_almost_equal_forecasters_are_told_apart():
    said = np.array([[0.52158519], [0.95145442], [0.16127642], [0.94967646]])
    assert mixture_weights(said)[1] > 0.99


def test_weights_of_nothing_and_of_certain_mistakes():
    assert mixture_weights(np.empty((3, 0))).tolist() == [1 / 3] * 3
    weights = mixture_weights(np.array([[0.9, 0.9], [0.0, 0.5]]))
    assert weights[0] > 0.99
    assert np.isnan(log_loss(np.empty((2, 0)), weights))


@given(st.integers(2, 5), st.integers(0, 2**16), st.sampled_from(["iou", "f1"]))
@settings(max_examples=30, deadline=None)
def test_the_best_cut_is_the_best(scenes, seed, criterion):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 9, (scenes, 2, 16))
    counts[:, 1, -1] += 1
    cut = best_cut(counts, criterion, 8, resamples=200)
    total, scores = counts.sum(0), []
    for edge in range(1, 16):
        tp, fp, fn = total[1, edge:].sum(), total[0, edge:].sum(), total[1, :edge].sum()
        scores.append(tp / (tp + fp + fn) if criterion == "iou" else 2 * tp / (2 * tp + fp + fn))
    assert cut.score == pytest.approx(max(scores))
    assert scores[cut.edge - 1] == pytest.approx(max(scores))
    assert cut.edges[0] <= cut.edges[1]
    assert cut.scores[0] <= cut.scores[1]


def test_a_cut_without_doubt_and_without_positives():
    counts = np.zeros((3, 2, 8), int)
    assert best_cut(counts, "iou", 4) is None
    counts[0, 0, :3], counts[0, 1, 5:] = 4, 4
    cut = best_cut(counts, "iou", 4)
    assert (cut.edge, cut.score, cut.edges) == (4, 1.0, None)
    counts[1] = counts[0]
    cut = best_cut(counts, "iou", 4)
    assert (cut.edges, cut.scores) == ((4, 4), (1, 1))


@given(st.floats(0.2, 8), st.sampled_from([1, 3]), st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_the_temperature_is_found(heat, channels, seed):
    """Labels drawn by the network's own word, which then speaks `heat` times too loud."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 2, (4000, channels))
    if channels == 1:
        labels = (rng.random(4000) < 1 / (1 + np.exp(-true[:, 0]))).astype(np.uint8)
    else:
        labels = (true + rng.gumbel(size=true.shape)).argmax(1).astype(np.uint8)
    found = temperature(true * heat, labels)
    assert found == pytest.approx(heat, rel=0.2)
    after = cross_entropy(true * heat / found, labels)
    for near in (0.95, 1.05):
        assert after <= cross_entropy(true * heat / (found * near), labels) + 1e-9
    assert reliability(true * heat / found, labels).error < 0.05


def test_reliability_is_its_definition():
    logits = np.log(np.array([[0.9], [0.9], [0.9], [0.1]]) / np.array([[0.1], [0.1], [0.1], [0.9]]))
    found = reliability(logits, np.array([1, 1, 0, 0], np.uint8))
    assert found.error == pytest.approx(0.75 * abs(0.9 - 2 / 3) + 0.25 * 0.1)
    assert np.isnan(reliability(np.empty((0, 1)), np.empty(0, np.uint8)).error)
    assert temperature(np.empty((0, 1)), np.empty(0, np.uint8)) == 1
    several = reliability(np.array([[5.0, 0, 0], [0, 5.0, 0]]), np.array([0, 2], np.uint8))
    assert several.error == pytest.approx(np.exp(5) / (np.exp(5) + 2) - 0.5)
