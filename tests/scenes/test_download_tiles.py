"""Areas and tiles of a download: pure arithmetic, and boxes across the antimeridian."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.options.downloading import Area
from darts_train.raster.grid import Grid
from darts_train.scenes.download_area import area_of, on_map, search_boxes
from darts_train.scenes.download_tiles import Lattice
from tests.support.geo import box, write_polygons

POLAR = "EPSG:3413"
place = st.floats(-3e6, 3e6, allow_nan=False).map(lambda number: round(number, 2))
length = st.floats(1, 2e4)


def outline(lattice, index):
    grid = lattice.grid(index)
    (west, north), (east, south) = grid.position(0, 0), grid.position(grid.width, grid.height)
    return shapely.box(west, south, east, north)


@settings(deadline=None)
@given(place, place, length, length, st.sampled_from([2.0, 10.0, 32.0]), st.integers(500, 4000), place, place)
def test_tiles_cover_the_area_and_none_is_idle(x, y, width, height, pixel, size, left, top):
    source = Grid(10, 10, (pixel, 0.0, left, 0.0, -pixel, top), POLAR)
    lattice = Lattice.of(source, size, "a")
    area = shapely.box(x, y, x + width, y + height)
    tiles = lattice.tiles(np.array([area], object))
    boxes = [outline(lattice, index) for index in tiles]
    assert shapely.union_all(boxes).buffer(1e-6).covers(area)
    assert all(shapely.intersects(one, area) for one in boxes)
    assert len(set(tiles)) == len(tiles)
    corner = lattice.grid(tiles[0]).position(0, 0)
    off = [(corner[0] - left) / pixel, (corner[1] - top) / pixel]
    assert np.allclose(off, np.round(off), atol=2e-3)  # on the pixels of the source


@given(place, place, st.integers(-500, 500), st.integers(-500, 500))
def test_two_rasters_of_one_lattice_have_the_same_tiles(left, top, columns, rows):
    pixel = 2.0
    one = Grid(10, 10, (pixel, 0.0, left, 0.0, -pixel, top), POLAR)
    other = Grid(99, 9, (pixel, 0.0, left + columns * pixel, 0.0, -pixel, top + rows * pixel), POLAR)
    near = np.subtract(Lattice.of(one, 512, "a").phase, Lattice.of(other, 512, "b").phase) / pixel
    assert np.allclose(np.minimum(np.abs(near), 1 - np.abs(near)), 0, atol=2e-3)


def test_rasters_that_are_turned_are_refused():
    for transform in ((2.0, 0.1, 0.0, 0.1, -2.0, 0.0), (2.0, 0.0, 0.0, 0.0, 2.0, 0.0)):
        with pytest.raises(UserError, match="turned or upside down"):
            Lattice.of(Grid(9, 9, transform, POLAR), 512, "a.tif")


def test_a_box_across_the_antimeridian():
    polygons = area_of(Area(bounds=(179.0, 70.0, -179.5, 71.0)))
    assert [tuple(part.bounds) for part in polygons] == [(179, 70, 180, 71), (-180, 70, -179.5, 71)]
    (part,) = on_map(polygons, POLAR, 10.0)
    assert part.area == pytest.approx(1.5 * 111_320 * np.cos(np.radians(70.5)) * 111_320, rel=0.05)
    assert len(search_boxes(polygons, 1000.0)) == 2


def test_the_margin_is_in_metres(tmp_path):
    area = area_of(Area(area=write_polygons(tmp_path / "a.gpkg", [box(0, 0, 100, 100)], image_id=["a"])))
    for crs, unit in ((POLAR, 1.0), ("EPSG:4326", 111_320.0)):
        plain, grown = (on_map(area, crs, margin)[0].bounds for margin in (0.0, 500.0))
        assert (grown[3] - plain[3]) * unit == pytest.approx(500, rel=0.01)


def test_search_boxes_are_few_and_hold_the_area():
    near = [shapely.box(10 + i / 100, 70, 10.02 + i / 100, 70.02) for i in range(50)]
    found = search_boxes(np.array([*near, shapely.box(-100, 60, -99, 61)], object), 1000.0)
    assert len(found) == 2
    held = shapely.union_all([shapely.box(*bounds) for bounds in found])
    assert held.covers(shapely.union_all(near))


def test_a_directory_without_scenes(tmp_path):
    with pytest.raises(UserError, match="holds no polygon and no scene"):
        area_of(Area(data_dir=tmp_path))
