import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darts_train.features.ground import Ground
from darts_train.features.ruggedness import dissection, terrain_ruggedness, vector_ruggedness
from darts_train.features.terrain import horn

TEN = Ground((10.0, 0.0), (0.0, -10.0))
COLUMNS, ROWS = np.meshgrid(np.arange(9.0), np.arange(9.0))


def rough(seed=1, height=12, width=11):
    return np.random.default_rng(seed).normal(100, 20, (height, width))


def test_ruggedness_of_flat_ground_is_zero_and_dissection_too():
    flat = np.full((9, 9), 250.0)
    for result in (terrain_ruggedness(flat), vector_ruggedness(flat, TEN), dissection(flat)):
        assert (result == 0).all()


def test_riley_of_a_bump_and_of_a_ramp():
    bump = np.zeros((5, 5))
    bump[2, 2] = 3.0
    found = terrain_ruggedness(bump)
    assert found[1, 1] == pytest.approx(3 * math.sqrt(8))
    assert found[0, 0] == found[0, 1] == pytest.approx(3.0)
    assert np.allclose(terrain_ruggedness(COLUMNS * 2), 2 * math.sqrt(6))


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_windows_are_squares(radius):
    dem, side = rough(), 2 * radius + 1
    tri, relief = terrain_ruggedness(dem, radius), dissection(dem, radius)
    assert tri.shape == relief.shape == (12 - 2 * radius, 11 - 2 * radius)
    for row in range(tri.shape[0]):
        for column in range(tri.shape[1]):
            around = dem[row : row + side, column : column + side]
            assert tri[row, column] == pytest.approx(math.sqrt(((around - around[radius, radius]) ** 2).sum()))
            assert relief[row, column] == pytest.approx((around.max() - around.min()) / around.max())


@pytest.mark.parametrize("radius", [1, 2])
def test_vector_ruggedness_is_one_less_the_length_of_the_mean_normal(radius):
    dem, side = rough(2), 2 * radius + 1
    east, north = TEN.slopes(*horn(dem))
    normals = np.stack([-east, -north, np.ones_like(east)])
    normals /= np.sqrt((normals**2).sum(axis=0))
    found = vector_ruggedness(dem, TEN, radius)
    assert found.shape == (12 - 2 - 2 * radius, 11 - 2 - 2 * radius)
    for row in range(found.shape[0]):
        for column in range(found.shape[1]):
            mean = normals[:, row : row + side, column : column + side].mean(axis=(1, 2))
            assert found[row, column] == pytest.approx(1 - math.sqrt((mean**2).sum()), abs=1e-12)


@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(100, 4000))
def test_a_plane_is_not_rugged_however_steep(across, along, base):
    plane = base + across * COLUMNS + along * ROWS
    assert np.allclose(vector_ruggedness(plane, TEN), 0, atol=1e-9)
    assert np.allclose(terrain_ruggedness(plane), math.sqrt(6 * (across**2 + along**2)), atol=1e-6)


@given(st.integers(0, 1000), st.floats(0.1, 300))
def test_ruggedness_stays_within_its_limits(seed, height):
    dem = np.random.default_rng(seed).normal(0, height, (9, 9))
    found = vector_ruggedness(dem, TEN)
    assert (found >= 0).all()
    assert (found < 1).all()
    assert (terrain_ruggedness(dem) >= 0).all()


def test_dissection_needs_ground_above_the_sea():
    assert np.isnan(dissection(np.full((3, 3), -2.0))).all()
    assert np.isnan(dissection(np.zeros((3, 3)))).all()
    coast = np.zeros((3, 3))
    coast[0, 0] = 4.0
    assert dissection(coast)[0, 0] == 1.0


def test_a_hole_is_a_hole_in_all_that_looks_at_it():
    dem = rough(3, 13, 13)
    dem[6, 6] = np.nan
    for result, reach, margin in ((terrain_ruggedness(dem), 1, 1), (dissection(dem), 1, 1),
                                  (vector_ruggedness(dem, TEN), 2, 2)):  # fmt: skip
        missing = np.zeros((13, 13), bool)
        missing[6 - reach : 7 + reach, 6 - reach : 7 + reach] = True
        assert np.array_equal(np.isnan(result), missing[margin:-margin, margin:-margin])
