import logging
import time

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from darts_train.dataset.splitting.leakage import overlapping_patches, warn_leakage

windows = st.tuples(st.sampled_from(["s0", "s1"]), st.integers(0, 40), st.integers(0, 40))


def frame(rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["sample_id", "x", "y"])


def by_pairs(rows, a, b, size) -> int:
    """The plain definition, over all pairs."""

    def meet(p, q):
        return p[0] == q[0] and abs(p[1] - q[1]) < size and abs(p[2] - q[2]) < size

    return sum(any(meet(rows[i], rows[j]) for j in b) for i in a)


@given(st.lists(windows, min_size=2, max_size=30), st.integers(1, 12), st.data())
def test_the_count_is_that_of_all_pairs(rows, size, data):
    indices = st.lists(st.integers(0, len(rows) - 1), unique=True)
    a, b = data.draw(indices), data.draw(indices)
    assert overlapping_patches(frame(rows), np.array(a, int), np.array(b, int), size) == by_pairs(rows, a, b, size)


def test_touching_windows_and_other_scenes_share_nothing():
    rows = frame([("s0", 0, 0), ("s0", 8, 0), ("s0", 0, 8), ("s1", 0, 0), ("s0", 7, 7)])
    assert overlapping_patches(rows, np.array([0]), np.array([1, 2, 3]), 8) == 0
    assert overlapping_patches(rows, np.array([0]), np.array([4]), 8) == 1


def test_sets_that_do_not_say_where_their_windows_lie_are_unknown():
    rows = frame([("s0", 0, 0), ("s0", None, 0)])
    assert overlapping_patches(rows.drop(columns="x"), np.array([0]), np.array([1]), 8) is None
    assert overlapping_patches(rows, np.array([0]), np.array([1]), 8) is None


def test_the_time_does_not_grow_with_the_square():
    n = 100_000
    rows = frame({"sample_id": ["s"] * n, "x": np.arange(n) % 316 * 7, "y": np.arange(n) // 316 * 7})
    began = time.monotonic()
    assert overlapping_patches(rows, np.arange(0, n, 2), np.arange(1, n, 2), 8) == n // 2
    assert time.monotonic() - began < 20


def test_a_warning_names_both_numbers(caplog):
    rows = frame([("s0", 0, 0), ("s0", 4, 0), ("s1", 0, 0)])
    with caplog.at_level(logging.WARNING):
        assert warn_leakage(rows, np.array([0]), np.array([1, 2]), 8, "validation") == 1
    assert "1 of 2 validation patches share pixels" in caplog.text
    caplog.clear()
    assert warn_leakage(rows, np.array([0]), np.array([2]), 8, "validation") == 0
    assert not caplog.text
