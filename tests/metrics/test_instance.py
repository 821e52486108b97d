"""Objects against brute force: every assignment tried, every pixel counted."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from darts_train.metrics.instance import InstanceMetrics, _best_pairs, match_objects, objects, precision_recall
from darts_train.metrics.names import INSTANCE_METRICS

seeds = st.integers(0, 2**32 - 1)


def masks(seed, side=12, share=0.35, hidden=0.0):
    random = np.random.default_rng(seed)
    truth, predicted = (random.random((side, side)) < share for _ in range(2))
    predicted |= truth & (random.random((side, side)) < 0.8)
    return truth, predicted, random.random((side, side)) < hidden, random.random((side, side)).astype(np.float32)


def compare(truth, predicted, ignored=None, probability=None):
    truth, predicted = np.atleast_2d(np.array(truth, bool)), np.atleast_2d(np.array(predicted, bool))
    ignored = np.zeros_like(truth) if ignored is None else np.atleast_2d(np.array(ignored, bool))
    probability = np.ones(truth.shape, np.float32) if probability is None else probability
    return match_objects(truth, predicted, ignored, probability)


def flood(mask):
    """Components by the book: set of frozensets of pixels, neighbours by side or corner."""
    left, found = set(map(tuple, np.argwhere(mask))), set()
    while left:
        open_, seen = [left.pop()], set()
        while open_:
            r, c = open_.pop()
            seen.add((r, c))
            near = {(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            open_ += near
        found.add(frozenset(seen))
    return found


def all_assignments(truth, predicted):
    """The most pairs with an IoU ≥ 0.3 and then the largest sum, by trying all."""
    ours, theirs = sorted(flood(predicted), key=sorted), sorted(flood(truth), key=sorted)
    iou = np.array([[len(a & b) / len(a | b) for b in theirs] for a in ours]).reshape(len(ours), len(theirs))
    if len(ours) > len(theirs):
        iou = iou.T
    gains = [
        [iou[i, j] for i, j in enumerate(p) if iou[i, j] >= 0.3] for p in permutations(range(iou.shape[1]), len(iou))
    ]
    return max((len(gain), sum(gain)) for gain in gains)


@given(seeds)
def test_the_matching_is_the_best_of_all(seed):
    truth, predicted, _, _ = masks(seed, side=6, share=0.25)
    found = compare(truth, predicted)
    assert found.counts[0] == all_assignments(truth, predicted)[0]
    assert len(found.hits) == len(flood(predicted))
    assert found.counts[0] + found.missed == len(flood(truth))


@given(st.integers(1, 5), st.integers(1, 5), seeds)
def test_a_group_of_candidates_gets_the_most_pairs_and_then_the_best(rows, columns, seed):
    random = np.random.default_rng(seed)
    iou = np.where(random.random((rows, columns)) < 0.6, random.uniform(0.3, 1, (rows, columns)), 0)
    row, column = np.nonzero(iou)
    pairs = list(_best_pairs(row, column, iou[row, column])) if len(row) else []
    wide = iou if rows <= columns else iou.T
    best = max(
        (sum(wide[i, j] > 0 for i, j in enumerate(p)), sum(wide[i, j] for i, j in enumerate(p)))
        for p in permutations(range(wide.shape[1]), len(wide))
    )
    assert len(pairs) == best[0]
    assert sum(iou[pair] for pair in pairs) == pytest.approx(best[1])
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)


@given(seeds)
@settings(max_examples=25, deadline=None)
def test_components_are_those_of_a_flood(seed):
    mask = masks(seed)[0]
    labels, count = objects(mask)
    assert {frozenset(map(tuple, np.argwhere(labels == k + 1))) for k in range(count)} == flood(mask)


def test_one_true_object_is_matched_once():
    found = compare([1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 1, 1, 1])  # each half has an IoU of 3/7
    assert found.counts == (1, 1, 0)


def test_more_pairs_win_over_a_better_one():
    truth = np.array([[1, 1, 1, 1, 0, 0, 1, 1, 1, 0]])
    predicted = np.array([[1, 1, 0, 1, 1, 1, 1, 1, 1, 0]])  # the long one fits both, better the second
    assert compare(truth, predicted).counts == (2, 0, 0)


@pytest.mark.parametrize(("overlap", "counts"), [(6, (1, 0, 0)), (5, (0, 1, 1))])
def test_an_iou_of_three_tenths_is_enough(overlap, counts):
    truth, predicted = np.zeros((2, 1, 40), bool)
    truth[0, :13], predicted[0, 13 - overlap : 26 - overlap] = True, True  # 6/20 and 5/21
    assert compare(truth, predicted).counts == counts


def test_more_than_255_objects():
    mask = np.zeros((80, 80), bool)
    mask[::2, ::2] = True
    assert compare(mask, mask).counts == (1600, 0, 0)
    assert compare(mask, np.roll(mask, 1, axis=0)).counts == (0, 1600, 1600)


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_right_where_it_is_known_is_right(seed):
    truth, beyond, ignored, probability = masks(seed, hidden=0.3)
    found = match_objects(truth, np.where(ignored, beyond, truth), ignored, probability)
    assert found.counts == (len(flood(truth & ~ignored)), 0, 0)


@pytest.mark.parametrize(
    ("truth", "predicted", "ignored", "counts"),
    [
        ([0, 0, 0, 0, 0], [0, 1, 1, 1, 1], [0, 0, 1, 1, 1], (0, 0, 0)),  # three of four ignored
        ([0, 0, 0, 0, 0], [0, 1, 1, 1, 1], [0, 0, 0, 1, 1], (0, 1, 0)),  # just half
        ([0, 1, 0, 0, 0], [0, 1, 1, 1, 1], [0, 0, 1, 1, 1], (1, 0, 0)),  # what is seen of it is right
        ([1, 1, 1, 0, 0], [0, 0, 1, 1, 1], [1, 1, 1, 1, 1], (0, 0, 0)),
    ],
)
def test_what_is_mostly_ignored_is_not_wrong(truth, predicted, ignored, counts):
    assert compare(truth, predicted, ignored).counts == counts


def test_an_object_scores_its_mean_probability_where_it_is_valid():
    probability = np.array([[0.6, 0.8, 0.9, 0.1]], np.float32)
    found = compare([1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 1, 0], probability)
    assert found.scores == pytest.approx([0.7])


@given(seeds, st.integers(1, 30), st.integers(0, 10))
@settings(max_examples=50, deadline=None)
def test_average_precision_is_that_of_scikit_learn(seed, n, missed):
    random = np.random.default_rng(seed)
    scores, hits = random.integers(0, 12, n) / 12, random.random(n) < 0.6
    hits[0] = True
    scored = np.zeros((2, 16), np.int64)
    np.add.at(scored, (hits.astype(int), np.rint(scores * 12).astype(int)), 1)
    recall, precision = precision_recall(scored, missed)
    # scikit-learn knows no positives without a score: they only make every recall smaller.
    oracle = average_precision_score(hits, scores) * hits.sum() / (hits.sum() + missed)
    assert np.sum(np.diff(recall) * precision[1:]) == pytest.approx(oracle)


def test_patches_add_up():
    state, total = InstanceMetrics(), np.zeros(3, int)
    for seed in range(6):
        total += state.update(*masks(seed, hidden=0.1))
    tp, fp, fn = total
    assert state.counts() == (tp, fp, fn)
    found = state.compute()
    assert set(found) == set(INSTANCE_METRICS)
    assert found["InstanceAccuracy"] == pytest.approx(tp / (tp + fp + fn))
    precision, recall = found["InstancePrecision"], found["InstanceRecall"]
    assert (precision, recall) == (pytest.approx(tp / (tp + fp)), pytest.approx(tp / (tp + fn)))
    assert found["InstanceF1Score"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert 0 < found["InstanceAveragePrecision"] < 1


def test_a_network_of_specks_needs_no_memory_and_bins_cost_nothing_one_could_see():
    random, state, all_of_it = np.random.default_rng(3), InstanceMetrics(), []
    truth = np.zeros((64, 64), bool)
    truth[::2, ::2] = random.random((32, 32)) < 0.5
    specks = np.zeros((64, 64), bool)
    specks[::2, ::2] = True
    for _ in range(5):
        probability = (random.random((64, 64)) * 0.7 + 0.3 * truth).astype(np.float32)
        state.update(truth, specks, np.zeros((64, 64), bool), probability)
        all_of_it.append((truth[::2, ::2].ravel(), probability[::2, ::2].ravel()))
    oracle = average_precision_score(*(np.concatenate(part) for part in zip(*all_of_it, strict=True)))
    assert state.compute()["InstanceAveragePrecision"] == pytest.approx(oracle, abs=2e-4)
    assert sum(part.nbytes for part in vars(state).values() if isinstance(part, np.ndarray)) == 2**18


@pytest.mark.parametrize(("truth", "predicted"), [(0, 1), (1, 0)])
def test_one_side_empty_scores_zero(truth, predicted):
    state = InstanceMetrics()
    state.update(*np.array([[[truth] * 4], [[predicted] * 4], [[0] * 4]], bool), np.ones((1, 4)))
    assert set(state.compute().values()) == {0.0}


def test_without_objects_nothing_was_measured():
    state = InstanceMetrics()
    assert all(map(math.isnan, state.compute().values()))
    state.update(*np.zeros((3, 4, 4), bool), np.ones((4, 4)))
    assert all(map(math.isnan, state.compute().values()))
    state.update(*np.zeros((3, 0, 4), bool), np.ones((0, 4)))
    assert state.counts() == (0, 0, 0)
