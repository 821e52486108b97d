"""Pixels that are not black, against the algorithm that hakai's channel_stats is made with."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from darts_train.dataset.lit_pixels import LitSums
from darts_train.raster.band import NODATA, Band

codes = arrays(np.uint16, (2, 3, 3), elements=st.sampled_from([0, 1, 2, 255, 999, 1000, 1001, 65534, NODATA]))


def sums(patches, encodings, encoded=True):
    bands = tuple(Band(f"b{i}", *encoding, 0.0, 1.0) for i, encoding in enumerate(encodings))
    found = LitSums(SimpleNamespace(bands=bands, encoded=encoded))
    for patch in patches:
        found.add(patch)
    return found.numbers()


@given(st.lists(codes, min_size=1, max_size=4), st.sampled_from([(1.0, 0.0), (1e-4, -0.1)]))
@settings(max_examples=50, deadline=None)
def test_they_are_the_mean_and_deviation_of_pixels_with_any_channel_above_0(patches, encoding):
    found = sums(patches, [encoding, encoding])
    pixels = np.concatenate([patch.reshape(2, -1) for patch in patches], axis=1)
    values = np.where(pixels == NODATA, np.nan, np.round(encoding[1] + encoding[0] * pixels.astype(float), 9))
    lit = (np.nan_to_num(values, nan=-1.0) > 0).any(axis=0)
    for numbers, row in zip(found, values[:, lit], strict=True):
        known = row[~np.isnan(row)]
        assert numbers.pixels == known.size
        assert math.isnan(numbers.std) == (known.size < 2)
        if known.size > 1:
            assert (numbers.mean, numbers.std) == pytest.approx((known.mean(), known.std(ddof=1)), rel=1e-9, abs=1e-9)


def test_floats_of_older_sets_count_alike():
    x = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)
    x[:, 0], x[0, 1, 0], x[:, 2, 0] = 0.0, np.nan, np.nan
    found = sums([x, x[:, ::-1]], [(1e-4, 0.0)] * 2, encoded=False)
    known = x[0, 1:].ravel()[[i for i in range(56) if i not in (0, 8)]].astype(float)
    assert found[0].pixels == 2 * known.size
    assert found[0].std == pytest.approx(np.concatenate([known, known]).std(ddof=1), rel=1e-12)


def test_sums_of_many_great_codes_are_exact():
    patch = np.full((1, 64, 64), 65534, np.uint16)
    patch[0, 0, 0] = 65533
    (numbers,) = sums([patch] * 50, [(1.0, 0.0)])
    pixels = np.concatenate([patch.ravel()] * 50).astype(float)
    assert numbers.std == pytest.approx(pixels.std(ddof=1), rel=1e-9)
    assert (numbers.pixels, numbers.mean) == (50 * 4096, pytest.approx(pixels.mean(), rel=1e-15))
