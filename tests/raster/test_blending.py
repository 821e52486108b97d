"""Windows are joined by a mean of shares: what all say comes back to the bit, whatever the sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.raster.blending import CURVES, axis_parts, profile, take_in
from darts_train.raster.cutting import Cut, mirrored


@st.composite
def cuts(draw):
    window = draw(st.integers(1, 64))
    overlap = draw(st.integers(0, window - 1))
    halo = draw(st.integers(0, overlap // 2))
    return Cut(window, overlap, halo, draw(st.sampled_from([1, 2, 8, 32])), draw(st.sampled_from(sorted(CURVES))))


def joined(parts, size, say):
    """The mean of what windows say of an axis, `say(number, pixel)`, as the map takes it."""
    mean = np.full(size, np.nan, np.float32)
    for number, part in enumerate(parts):
        new = say(number, np.arange(part.first, part.last)).astype(np.float32)
        shared = slice(part.first, part.held)
        take_in(mean[shared], new[: len(part.shares)], part.shares)
        mean[part.held : part.last] = new[len(part.shares) :]
    return mean


@settings(max_examples=50, deadline=None)
@given(cuts(), st.integers(1, 400), st.floats(0, 1, width=32))
def test_a_constant_comes_back_to_the_bit(cut, size, value):
    found = joined(cut.parts(size), size, lambda _, pixels: np.full(len(pixels), value, np.float32))
    assert (found == np.float32(value)).all()


@settings(max_examples=50, deadline=None)
@given(cuts(), st.integers(1, 400))
def test_shares_are_those_of_a_weighted_mean(cut, size):
    """The mean as it goes is the sum of weights times values, divided by the sum of weights."""
    starts = cut.starts(size)
    parts = axis_parts(starts, cut.window, size, cut.overlap, cut.halo, cut.blend)
    values = np.random.default_rng(0).random(len(parts))
    base = profile(cut.window, min(cut.halo, cut.overlap // 2), cut.overlap, cut.blend)
    total, weight = np.zeros(size), np.zeros(size)
    for part, value in zip(parts, values, strict=True):
        own = base.copy()
        if part is parts[0]:
            own[: own.argmax()] = own.max()
        if part is parts[-1]:
            own[own.argmax() :] = own.max()
        here = slice(part.first, part.last)
        total[here] += own[part.inside] * value
        weight[here] += own[part.inside]
    found = joined(parts, size, lambda number, pixels: np.full(len(pixels), values[number]))
    np.testing.assert_allclose(found, total / weight, atol=2e-6)


@settings(max_examples=50, deadline=None)
@given(cuts(), st.integers(1, 400))
def test_windows_start_on_the_stride_and_count_within_the_scene(cut, size):
    parts, starts = cut.parts(size), cut.starts(size)
    assert starts == sorted(set(starts))
    if cut.step % cut.stride == 0 and cut.window >= cut.stride:
        assert all(start % cut.stride == 0 for start in starts)
    if size > cut.window:
        assert starts[0] <= -cut.halo
        assert starts[-1] + cut.window >= size + cut.halo
    for part in parts:
        assert part.start <= part.first < part.last <= part.start + cut.window
        assert (part.shares > 0).all()
        assert (part.shares <= 1).all()
        trim = min(cut.halo, cut.overlap // 2)
        assert part.first == 0 or part.first - part.start >= trim
        assert part.last == size or part.start + cut.window - part.last >= trim
    assert (parts[0].first, parts[-1].last) == (0, size)


@pytest.mark.parametrize("blend", ["linear", "hann", "bartlett-hann"])
@pytest.mark.parametrize("halo", [0, 5])
def test_curves_sum_to_one_with_their_mirror_image(blend, halo):
    up = profile(64, halo, 24, blend)
    shared = up[:24] + up[-24:]
    inner = slice(halo, 24 - halo)
    np.testing.assert_allclose(shared[inner], 1, atol=1e-12)
    assert (np.diff(up[inner]) > 0).all()
    assert not up[:halo].any()


def test_the_ramp_is_linear_and_symmetric():
    assert profile(8, 0, 3, "linear").tolist() == [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25]
    assert profile(4, 0, 0, "hann").tolist() == [1, 1, 1, 1]
    assert profile(5, 0, 4, "linear").tolist() == pytest.approx([0.2, 0.4, 0.6, 0.4, 0.2])
    assert profile(8, 1, 3, "linear").tolist() == [0, 0.5, 1, 1, 1, 1, 0.5, 0]


def test_half_windows_of_bartlett_hann_are_those_of_habitat_mapper():
    """w = .62 - .48 |i/N - .5| + .38 cos 2π|i/N - .5|, which with half a window shared sums to 1."""
    size = 32
    place = np.abs(np.arange(size) / size - 0.5)
    theirs = 0.62 - 0.48 * place + 0.38 * np.cos(2 * np.pi * place)
    # their first weight is 0, which throws a prediction away; ours begins one step further
    np.testing.assert_allclose(profile(size - 1, 0, size // 2 - 1, "bartlett-hann"), theirs[1:], atol=1e-12)


def test_gaps_are_an_error():
    with pytest.raises(ValueError, match="uncovered"):
        axis_parts([0, 20], 10, 30, 0)
    with pytest.raises(ValueError, match="uncovered"):
        axis_parts([0], 10, 30, 0)


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_the_mirror_is_that_of_numpy(size):
    padded = np.pad(np.arange(size), 25, mode="reflect")
    np.testing.assert_array_equal(mirrored(-25, size + 25, size), padded)
