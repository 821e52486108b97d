import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.metrics import intervals
from darts_train.metrics.intervals import jaccard, jaccard_interval


def scenes(seed, n, k=2):
    return np.random.default_rng(seed).integers(0, 1000, (n, k, k))


@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
@settings(max_examples=25, deadline=None)
def test_the_iou_of_many_matrices_is_that_of_each(seed, k):
    from darts_train.metrics.confusion import count_metrics

    torch = pytest.importorskip("torch")
    matrices = scenes(seed, 5, k) * np.random.default_rng(seed).integers(0, 2, (5, k, k))
    for matrix, iou in zip(matrices, jaccard(matrices), strict=True):
        expected = count_metrics(torch.from_numpy(matrix), [str(i) for i in range(k)])["JaccardIndex"]
        assert (0.0 if math.isnan(iou) else iou) == pytest.approx(expected)


def test_draws_are_those_of_a_loop():
    """The same draws, added up scene by scene."""
    counts = scenes(1, 7)
    generator = np.random.default_rng(42)
    scores = []
    for times in generator.multinomial(7, np.full(7, 1 / 7), 1000):
        matrix = sum(n * scene for n, scene in zip(times, counts, strict=True))
        scores.append(matrix[1, 1] / (matrix[1, 1] + matrix[0, 1] + matrix[1, 0]))
    found = jaccard_interval(counts)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(scores, [0.025, 0.975])))
    assert (found.scenes, found.resamples, found.level) == (7, 1000, 0.95)


def test_the_score_lies_between_and_equal_scenes_leave_no_doubt():
    counts = scenes(2, 20)
    found = jaccard_interval(counts)
    assert found.low < float(jaccard(counts.sum(0))) < found.high
    same = jaccard_interval(np.repeat(counts[:1], 9, axis=0))
    assert same.low == pytest.approx(same.high)


def test_a_seed_gives_one_interval_and_blocks_do_not_matter(monkeypatch):
    counts = scenes(3, 12)
    first = jaccard_interval(counts)
    assert first == jaccard_interval(counts)
    assert first != jaccard_interval(counts, seed=1)
    monkeypatch.setattr(intervals, "_BLOCK", 50)
    assert first == jaccard_interval(counts)


def test_it_covers_the_truth_about_as_often_as_it_says():
    """Scenes of one known law: of 95 % intervals over 40 scenes, more than 85 and not all of 200 hold its IoU."""
    random = np.random.default_rng(5)
    covered = 0
    for seed in range(200):
        hits = random.beta(6, 3, 40) * 1000  # mean 2/3; the union is 1000 in every scene, so this is the IoU
        counts = np.zeros((40, 2, 2), np.int64)
        counts[:, 1, 1], counts[:, 1, 0] = hits, 1000 - hits.astype(int)
        found = jaccard_interval(counts, resamples=400, seed=seed)
        covered += found.low <= 2 / 3 <= found.high
    assert 175 <= covered < 200


@pytest.mark.parametrize("counts", [scenes(1, 0), scenes(1, 1), np.array([[[5, 0], [0, 0]]] * 3)])
def test_where_nothing_can_vary_there_is_no_interval(counts):
    assert jaccard_interval(counts) is None


def test_draws_without_foreground_are_left_out():
    counts = np.array([[[5, 0], [0, 0]], [[5, 1], [1, 2]]])
    found = jaccard_interval(counts)
    assert found.low == found.high == 0.5
