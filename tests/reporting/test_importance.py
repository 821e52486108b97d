"""Importance finds what scores depend on, and says when they depend on nothing."""

import math

import numpy as np

from darts_train.reporting.importance import Column, importance


def columns(rng, count):
    numbers = Column("rate", rng.uniform(-4, -1, count).tolist())
    levels = Column("encoder", rng.integers(0, 3, count).astype(float).tolist(), 3)
    return [numbers, levels, Column("noise", rng.uniform(0, 1, count).tolist()), Column("fixed", [1.0] * count)]


def test_what_decides_the_score_comes_first():
    rng = np.random.default_rng(0)
    found = columns(rng, 60)
    scores = [0.7 + 0.2 * (level == 1) - 0.02 * (rate + 2.5) ** 2 for rate, level in zip(*(c.values for c in found[:2]),
                                                                                        strict=True)]  # fmt: skip
    result = importance(found, scores)
    assert next(iter(result.shares)) == "encoder"
    assert set(result.shares) == {"encoder", "rate", "noise"}
    assert result.shares["noise"] < 0.03 < result.shares["encoder"] < 1.1
    assert 0.7 < result.explained <= 1
    assert result.configurations == 60


def test_noise_explains_nothing():
    rng = np.random.default_rng(1)
    result = importance(columns(rng, 40), rng.normal(size=40).tolist())
    assert result.explained < 0.15


def test_nothing_to_tell_from_few_equal_or_fixed_configurations():
    rng = np.random.default_rng(2)
    assert importance(columns(rng, 11), list(range(11))) is None
    assert importance(columns(rng, 20), [0.5] * 20) is None
    assert importance([Column("fixed", [1.0] * 20)], list(range(20))) is None


def test_values_may_be_missing():
    rng = np.random.default_rng(3)
    values = rng.uniform(size=30)
    holes = [math.nan if i % 5 == 0 else float(v) for i, v in enumerate(values)]
    assert importance([Column("a", holes)], values.tolist()).explained > 0.3
