"""Counted codes say what all pixels say."""

import math

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.dataset.describing import bands as describe_bands
from darts_train.dataset.describing.bands import BINS, PERCENTS, BandCounts, code_percentile
from darts_train.dataset.reader import TrainData
from darts_train.raster.band import NODATA
from tests.support.sets import make_old_set, make_set

codes = st.one_of(
    st.lists(st.integers(0, NODATA - 1), min_size=1, max_size=400), st.lists(st.integers(0, 3), min_size=1, max_size=40)
)


@given(codes, st.integers(0, 100))
def test_a_percentile_is_that_of_numpy(values, percent):
    counts = np.bincount(values, minlength=NODATA)
    assert code_percentile(counts, percent) == pytest.approx(np.percentile(values, percent), rel=1e-12, abs=1e-9)


def test_without_a_value_there_is_no_percentile():
    assert math.isnan(code_percentile(np.zeros(NODATA, np.int64), 50))


def profiles(data):
    counts = BandCounts(data)
    for index in range(len(data)):
        counts.add(data.read(index)[0])
    return counts.profiles()


def eight_bits(root):
    """A copy of a set whose codes are stored as uint8, with the array `valid` beside them."""
    make_set(root, patches=7, size=16, nodata=True)
    group = zarr.open_group(str(root / "data.zarr"))
    x = group["x"][...]
    valid, attributes = (x != NODATA).all(axis=1), dict(group["x"].attrs)
    del group["x"]
    codes = np.where(x == NODATA, 0, x % 251).astype(np.uint8)
    group.create_array("x", data=codes, chunks=(1, *codes.shape[1:]), attributes=attributes)
    group.create_array("valid", data=valid.astype(np.uint8), chunks=(1, *valid.shape[1:]))


@pytest.mark.parametrize(("stored", "pool"), [("uint16", 1000), ("uint16", 1 << 18), ("uint8", 1)])
def test_profiles_of_a_set_are_those_of_its_pixels(stored, pool, tmp_path, monkeypatch):
    monkeypatch.setattr(describe_bands, "POOL", pool)
    if stored == "uint8":
        eight_bits(tmp_path)
    else:
        make_set(tmp_path, patches=7, size=16, nodata=True)
    data = TrainData.open(tmp_path)
    assert data.x.dtype == stored
    x = data.read_many(range(7))[0]
    for channel, (band, found) in enumerate(zip(data.bands, profiles(data), strict=True)):
        codes = x[:, channel][x[:, channel] != NODATA]
        known = band.offset + band.scale * codes.astype(np.float64)
        mean = known.sum() / known.size  # two passes
        std = np.sqrt(np.square(known - mean).sum() / known.size)
        mine = found.statistics
        assert (mine.name, mine.valid, mine.total) == (band.name, known.size, x[:, channel].size)
        assert (mine.mean, mine.std) == pytest.approx((mean, std), rel=1e-9)
        assert (mine.minimum, mine.maximum) == pytest.approx((known.min(), known.max()), rel=1e-9)
        assert found.quantiles == pytest.approx(tuple(np.percentile(known, PERCENTS)), rel=1e-9, abs=1e-12)
        inside = (known >= found.histogram.low) & (known <= found.histogram.high)
        assert sum(found.histogram.counts) == inside.sum()
        assert inside.mean() > 0.97
        assert 1 < len(found.histogram.counts) <= BINS


def test_profiles_of_an_older_set_are_as_good_as_its_grid(tmp_path):
    data = TrainData.open(make_old_set(tmp_path / "set", patches=5, size=16))
    x = data.read_many(range(5))[0]
    for channel, found in enumerate(profiles(data)):
        known = x[:, channel][np.isfinite(x[:, channel])]
        assert found.quantiles == pytest.approx(tuple(np.percentile(known, PERCENTS)), abs=1e-5)
        assert found.statistics.minimum == known.min()
        assert found.statistics.nodata_share == pytest.approx(1 / 16)


@given(st.integers(0, NODATA - 1), st.integers(0, NODATA - 1))
@settings(max_examples=30, deadline=None)
def test_the_bins_hold_whole_codes_and_lose_none(tmp_path_factory, low, high):
    data = opened(tmp_path_factory)
    counts = BandCounts(data)
    counts.add(np.array([low, low, high, high], np.uint16).reshape(1, 2, 2).repeat(3, axis=0))
    histogram = counts.profiles()[0].histogram
    assert sum(histogram.counts) == 4
    assert {c for c in histogram.counts if c} <= {2, 4}
    steps = (histogram.high - histogram.low) / data.bands[0].scale / len(histogram.counts)
    assert steps == pytest.approx(round(steps), abs=1e-6)


_cache = []


def opened(factory):
    if not _cache:
        root = factory.mktemp("set")
        make_set(root, patches=4, size=8)
        _cache.append(TrainData.open(root))
    return _cache[0]
