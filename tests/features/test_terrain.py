import math

import numpy as np
import pytest

from darts_train.base.errors import UserError
from darts_train.features.disc_sums import half_widths
from darts_train.features.ground import Ground, ground
from darts_train.features.relative_elevation import check_ring, pixel_radii, relative_elevation
from darts_train.features.terrain import aspect, curvature, hillshade, horn, slope
from darts_train.raster.grid import Grid

TEN = Ground((10.0, 0.0), (0.0, -10.0))  # 10 m, north up
COLUMNS, ROWS = np.meshgrid(np.arange(9.0), np.arange(9.0))


def test_slope_of_a_one_to_one_ramp_is_45_degrees():
    assert np.allclose(slope(COLUMNS * 10, TEN), 45)
    assert np.allclose(slope(ROWS * 10, TEN), 45)
    assert np.allclose(slope(COLUMNS * 10, Ground((20.0, 0.0), (0.0, -20.0))), math.degrees(math.atan(0.5)))


@pytest.mark.parametrize(
    ("dem", "expected"),
    [(COLUMNS, 270.0), (-COLUMNS, 90.0), (ROWS, 0.0), (-ROWS, 180.0), (ROWS + COLUMNS, 315.0), (0 * ROWS, 0.0)],
)
def test_aspect_points_downhill_clockwise_from_north(dem, expected):
    assert np.allclose(aspect(dem, TEN), expected)


def test_aspect_follows_a_turned_grid():
    turned = Ground((0.0, 10.0), (10.0, 0.0))  # columns go north, rows east
    assert np.allclose(aspect(COLUMNS, turned), 180.0)
    assert np.allclose(slope(COLUMNS * 10, turned), 45.0)


def test_hillshade_of_flat_ground():
    shade = hillshade(np.zeros((5, 5)), TEN, 225, 25)
    assert np.allclose(shade, (math.sin(math.radians(25)) + 1) / 2)
    assert round(float(shade[0, 0]), 4) == 0.7113


def test_a_slope_that_faces_the_sun_is_fully_lit_and_one_away_from_it_is_dark():
    towards_west = COLUMNS * 10  # falls to the west, 45 degrees
    assert np.allclose(hillshade(towards_west, TEN, 270, 45), 1.0)
    assert np.allclose(hillshade(towards_west, TEN, 90, 45), 0.5)
    assert np.allclose(hillshade(towards_west, TEN, 90, 0), (1 - math.sqrt(0.5)) / 2)


def test_curvature_of_a_bump():
    dem = np.zeros((7, 7))
    dem[3, 3] = 1
    result = curvature(dem, TEN)
    assert result[2, 2] == pytest.approx(4)
    assert result[1, 2] == result[2, 1] == result[3, 2] == pytest.approx(-1)
    assert result[0, 0] == 0


def test_a_hole_is_a_hole_in_all_that_looks_at_it():
    dem = np.zeros((7, 7))
    dem[3, 3] = np.nan
    for result in (slope(dem, TEN), aspect(dem, TEN), hillshade(dem, TEN, 225, 25), sum(horn(dem))):
        assert np.isnan(result[1:4, 1:4]).all()
        assert not np.isnan(result[0]).any()
    assert np.isnan(curvature(dem, TEN)).sum() == 5


def test_relative_elevation_of_flat_ground_is_zero_and_of_a_plane_too():
    assert (relative_elevation(np.full((30, 30), 812.25), (5, 5), (0, 0), 5) == 0).all()
    plane = np.add.outer(np.arange(30.0), 3 * np.arange(30.0))
    assert np.allclose(relative_elevation(plane, (5, 5), (0, 0), 5), 0, atol=1e-9)


@pytest.mark.parametrize(("outer", "inner"), [((4, 4), (0, 0)), ((5, 3), (0, 0)), ((5, 5), (2, 2)), ((1, 1), (0, 0))])
def test_relative_elevation_is_the_mean_over_the_disc_or_ring(outer, inner):
    dem = np.rint(np.random.default_rng(1).normal(100, 20, (24, 26)) * 256) / 256
    found = relative_elevation(dem, outer, inner, 6)
    assert found.shape == (12, 14)
    y, x = np.mgrid[-6:7, -6:7]
    disc = (x / outer[0]) ** 2 + (y / outer[1]) ** 2 <= 1 + 1e-12
    if inner != (0, 0):
        disc &= ~((x / inner[0]) ** 2 + (y / inner[1]) ** 2 <= 1 + 1e-12)
    for row in range(12):
        for column in range(14):
            around = dem[row : row + 13, column : column + 13]
            assert found[row, column] == pytest.approx(around[6, 6] - around[disc].mean(), abs=1e-9)


def test_a_hole_spreads_over_its_disc_and_not_further():
    dem = np.zeros((31, 31))
    dem[15, 15] = np.nan
    missing = np.isnan(relative_elevation(dem, (5, 5), (0, 0), 5))
    y, x = np.mgrid[-10:11, -10:11]
    assert np.array_equal(missing, x**2 + y**2 <= 25)
    ring = np.isnan(relative_elevation(dem, (5, 5), (2, 2), 5))
    assert np.array_equal(ring, (x**2 + y**2 <= 25) & ((x**2 + y**2 > 4) | ((x == 0) & (y == 0))))


def test_radii_in_pixels_are_rounded_up():
    assert pixel_radii(100, Ground((3.0, 0.0), (0.0, -3.0))) == (34, 34)
    assert pixel_radii(100, Ground((3.125, 0.0), (0.0, -3.125))) == (32, 32)
    assert pixel_radii(100, TEN) == (10, 10)
    assert pixel_radii(0, TEN) == (0, 0)
    assert half_widths((2, 2)) == (0, 1, 2, 1, 0)
    with pytest.raises(UserError, match="ring is empty"):
        check_ring((1, 1), (1, 1))


def test_cells_of_a_projected_grid_are_those_of_the_grid():
    steps = ground(Grid(100, 100, (3.125, 0.0, 500000.0, 0.0, -3.125, 7600000.0), "EPSG:32608"), "a")
    assert steps.cell == pytest.approx((3.125, 3.125))
    assert steps.column[1] == pytest.approx(0, abs=0.01)


def test_cells_in_degrees_are_metres_at_their_latitude():
    steps = ground(Grid(100, 100, (1e-3, 0.0, -135.05, 0.0, -1e-3, 60.05), "EPSG:4326"), "a")
    assert steps.cell == pytest.approx((55.8, 111.4), rel=1e-3)


def test_mercator_metres_are_not_taken_for_metres():
    steps = ground(Grid(100, 100, (10.0, 0.0, 0.0, 0.0, -10.0, 8399737.9), "EPSG:3857"), "a")  # 60 degrees north
    assert steps.cell == pytest.approx((5.0, 5.0), rel=0.01)


def test_feet_are_metres():
    steps = ground(Grid(10, 10, (10.0, 0.0, 2000000.0, 0.0, -10.0, 500000.0), "EPSG:2263"), "a")
    assert steps.cell == pytest.approx((3.048, 3.048), rel=1e-3)


def test_north_is_true_north_in_a_polar_projection():
    # The pole is the origin of EPSG:3413; the ground falls towards grid north in both places.
    pole_in_the_south = ground(Grid(2, 2, (10.0, 0.0, 0.0, 0.0, -10.0, 1e6), "EPSG:3413"), "135 E")
    assert np.allclose(aspect(ROWS, pole_in_the_south), 180.0, atol=0.1)
    pole_in_the_west = ground(Grid(2, 2, (10.0, 0.0, 1e6, 0.0, -10.0, 0.0), "EPSG:3413"), "45 E")
    assert np.allclose(aspect(ROWS, pole_in_the_west), 90.0, atol=0.1)
    assert pole_in_the_west.cell == pytest.approx((10.0, 10.0))


def test_grids_without_a_pixel_size():
    assert ground(Grid(5, 5, (2.0, 0.0, 0.0, 0.0, -2.0, 0.0)), "a") == Ground((2.0, 0.0), (0.0, -2.0))
    with pytest.raises(UserError, match=r"photo\.png.*no georeference"):
        ground(Grid(5, 5), "photo.png")
    with pytest.raises(UserError, match="no area"):
        ground(Grid(5, 5, (1.0, 1.0, 0.0, 1.0, 1.0, 0.0)), "a")
