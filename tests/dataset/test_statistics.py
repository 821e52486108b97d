import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from darts_train.dataset.statistics import RunningMoments


@given(st.lists(arrays(np.float64, st.integers(0, 20), elements=st.floats(-1e6, 1e6)), max_size=6))
@settings(deadline=None)
def test_parts_merged_are_the_whole(parts):
    moments = RunningMoments(1)
    for part in parts:
        moments.update(0, part, part.size + 1)
    whole = np.concatenate([*parts, np.empty(0)])
    assert moments.count[0] == whole.size
    assert moments.total[0] == whole.size + len(parts)
    if whole.size:
        scale = max(1.0, np.abs(whole).max())
        assert moments.mean[0] == pytest.approx(whole.mean(), rel=1e-12, abs=1e-12 * scale)
        assert moments.deviation[0] == pytest.approx(
            ((whole - whole.mean()) ** 2).sum(), rel=1e-9, abs=1e-12 * scale**2
        )
        assert (moments.minimum[0], moments.maximum[0]) == (whole.min(), whole.max())


def test_a_large_offset_costs_no_digits():
    values = 1e9 + np.arange(1000) % 7
    moments = RunningMoments(1)
    for part in np.array_split(values, 13):
        moments.update(0, part, part.size)
    assert moments.deviation[0] / 1000 == pytest.approx(values.var(), rel=1e-9)
