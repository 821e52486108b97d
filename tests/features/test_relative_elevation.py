import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.features import disc_sums, relative_elevation
from darts_train.features.disc_sums import Scratch, disc_sum, half_widths, pixels_of
from darts_train.features.relative_elevation import relative_elevation as compute

RADII = st.tuples(st.integers(0, 7), st.integers(0, 7))


def disc(radii):
    a = radii[0]
    reach = np.array(half_widths(radii))[:, None]
    return np.abs(np.arange(-a, a + 1))[None, :] <= reach


def by_pixels(values, radii):
    a, b = radii
    inside = disc(radii)
    found = np.zeros((values.shape[0] - 2 * b, values.shape[1] - 2 * a), object)
    for y in range(2 * b + 1):
        for x in range(2 * a + 1):
            if inside[y, x]:
                found = found + values[y:, x:][: found.shape[0], : found.shape[1]].astype(object)
    return found


@given(RADII, st.integers(1, 12), st.integers(1, 12), st.integers(0, 99), st.sampled_from([np.int32, np.int64]))
def test_disc_sums_are_sums_over_a_disc(radii, height, width, seed, dtype):
    shape = (height + 2 * radii[1], width + 2 * radii[0])
    limit = 2**31 // pixels_of(radii) - 1
    values = np.random.default_rng(seed).integers(-limit, limit, shape).astype(dtype)
    assert pixels_of(radii) == disc(radii).sum()
    assert np.array_equal(disc_sum(values, radii, Scratch()), by_pixels(values, radii))


@pytest.mark.parametrize("radius", [4, 34, 100])
def test_large_discs(radius):
    values = np.random.default_rng(radius).integers(0, 2, (2 * radius + 2, 2 * radius + 3)).astype(np.uint16)
    assert np.array_equal(disc_sum(values, (radius, radius), Scratch()), by_pixels(values, (radius, radius)))


def test_sums_are_exact_where_tables_overflow():
    values = np.full((70, 900), 2**31 // pixels_of((4, 4)) - 1, np.int32)
    assert (disc_sum(values, (4, 4), Scratch()) == values[0, 0] * pixels_of((4, 4))).all()


def test_memory_that_is_used_again_is_that_of_the_call():
    scratch = Scratch()
    first = scratch.array("a", (3, 4), np.int32)
    first[:] = 7
    again = scratch.array("a", (2, 2), np.int64)
    assert again.shape == (2, 2)
    assert np.shares_memory(first, again)
    assert not np.shares_memory(first, scratch.array("b", (3, 4), np.int32))


@st.composite
def terrains(draw):
    relief = draw(st.sampled_from([0.5, 30.0, 1e4, 1e9]))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    dem = (draw(st.sampled_from([0.0, 4000.0])) + relief * rng.random((40, 44))).astype(dtype)
    if draw(st.booleans()):
        dem[rng.random(dem.shape) < 0.002] = draw(st.sampled_from([np.nan, np.inf]))
    return dem


@given(terrains(), st.tuples(st.integers(1, 5), st.integers(1, 5)), st.booleans(), st.data())
def test_a_value_is_the_same_in_every_window_and_tile(dem, outer, ring, data):
    halo = 5
    inner = (outer[0] // 2, outer[1] // 2) if ring and min(outer) > 1 else (0, 0)
    whole = compute(dem, outer, inner, halo)
    top, left = data.draw(st.integers(0, 29)), data.draw(st.integers(0, 33))
    height, width = data.draw(st.integers(1, 30 - top)), data.draw(st.integers(1, 34 - left))
    part = dem[top : top + height + 2 * halo, left : left + width + 2 * halo]
    expected = whole[top : top + height, left : left + width]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(relative_elevation, "_TILE", (data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))))
        patch.setattr(disc_sums, "_BLOCK_ROWS", data.draw(st.integers(1, 9)))
        assert np.array_equal(compute(part, outer, inner, halo), expected, equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(terrains(), st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_it_is_the_elevation_less_the_mean(dem, outer):
    dem = np.where(np.abs(dem) < 1e6, np.rint(dem * 256) / 256, dem)
    found = compute(dem, outer, (0, 0), 5)
    missing = by_pixels(
        (~np.isfinite(dem)).astype(int)[5 - outer[1] : 35 + outer[1], 5 - outer[0] : 39 + outer[0]], outer
    )
    assert np.array_equal(np.isnan(found), missing > 0)
    if np.abs(dem[np.isfinite(dem)]).max() > 1e6:  # a broken file
        return
    near = np.where(np.isfinite(dem), dem, 0)[5 - outer[1] : 35 + outer[1], 5 - outer[0] : 39 + outer[0]]
    mean = by_pixels(near, outer).astype(float) / pixels_of(outer)
    there = missing == 0
    assert np.allclose(found[there], (dem[5:-5, 5:-5] - mean)[there], atol=1e-6)


def test_great_relief_takes_wider_numbers():
    dem = np.where(np.arange(90)[:, None] % 2, 8000.0, 0.0) * np.ones((1, 90))
    found = compute(dem, (40, 40), (0, 0), 40)
    assert np.abs(found).max() == pytest.approx(4000, rel=0.05)
    assert relative_elevation._steps(dem, None, pixels_of((40, 40)), Scratch()).dtype == np.int64
    assert relative_elevation._steps(dem, None, pixels_of((4, 4)), Scratch()).dtype == np.int32
