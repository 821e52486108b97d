import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from darts_train.dataset.reader import TrainData
from darts_train.dataset.statistics import RunningMoments, band_statistics
from darts_train.raster.encoding import decode
from tests.support.sets import make_old_set, make_set


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


@pytest.mark.parametrize("indices", [None, [1, 4, 5]])
def test_codes_give_the_numbers_of_their_values(tmp_path, indices):
    make_set(tmp_path, patches=8, size=16, nodata=True)
    data = TrainData.open(tmp_path, ["red", "blue"])
    x = data.read_many(range(8) if indices is None else indices)[0]
    values = np.stack([decode(codes, data.bands) for codes in x]).astype(np.float64)
    for i, stats in enumerate(band_statistics(data, indices)):
        column = values[:, i][~np.isnan(values[:, i])]
        assert stats.name == data.bands[i].name
        assert (stats.mean, stats.std) == pytest.approx((column.mean(), column.std()), rel=1e-5)  # decode is float32
        assert (stats.minimum, stats.maximum) == pytest.approx((column.min(), column.max()), rel=1e-5)
        exact = (data.bands[i].offset + data.bands[i].scale * x[:, i].astype(np.float64))[x[:, i] != 65535]
        assert (stats.mean, stats.std) == pytest.approx((exact.mean(), exact.std()), rel=1e-12)
        assert stats.nodata_share == pytest.approx(1 / 16)


def test_floats_leave_nan_out(tmp_path):
    data = TrainData.open(make_old_set(tmp_path / "set", patches=4, size=16))
    x = data.read_many(range(4))[0].astype(np.float64)
    for i, stats in enumerate(band_statistics(data)):
        assert (stats.mean, stats.std) == pytest.approx((np.nanmean(x[:, i]), np.nanstd(x[:, i])), rel=1e-12)
        assert stats.nodata_share == pytest.approx(1 / 16)


def test_no_pixel_is_nan_and_not_an_error(tmp_path):
    make_set(tmp_path, patches=2, size=8)
    for stats in band_statistics(TrainData.open(tmp_path), []):
        assert np.isnan([stats.mean, stats.std, stats.minimum, stats.maximum]).all()
        assert (stats.valid, stats.nodata_share) == (0, 0)
    shutil.rmtree(tmp_path)
