"""Places where arithmetic on longitudes and pixels goes wrong: the poles, 180 degrees, pixels without an area."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from darts_train.base.errors import UserError
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.aligned import align
from darts_train.scenes.georeference import reproject_geometries, scene_outline, window_geometries
from darts_train.scenes.labels import polygons_on
from darts_train.scenes.raster_file import RasterFile
from darts_train.scenes.regions import Regions
from tests.support.geo import CELL, ORIGIN, UTM, write_raster

NORTH, SOUTH = "EPSG:3413", "EPSG:3031"
METRES_OF_A_DEGREE = 111_000


@pytest.mark.parametrize(("crs", "pole"), [(NORTH, 90), (SOUTH, -90)])
@settings(max_examples=30, deadline=None)
@given(left=st.floats(-990, -10), top=st.floats(10, 990))
def test_a_scene_around_a_pole_reaches_it(crs, pole, left, top):
    outline = scene_outline(Grid(100, 100, (10.0, 0.0, left, 0.0, -10.0, top), crs))
    assert outline.is_valid
    assert outline.covers(shapely.Point(0, pole))
    west, south, east, north = outline.bounds
    assert (west, east) == (-180, 180)
    assert 0 < north - south < 2000 / METRES_OF_A_DEGREE


def test_of_patches_around_a_pole_one_reaches_it():
    grid = Grid(100, 100, (10.0, 0.0, -333.0, 0.0, -10.0, 333.0), NORTH)
    windows = [Window(x, y, 50, 50) for y in (0, 50) for x in (0, 50)]
    outlines = [shapely.from_wkb(wkb) for wkb in window_geometries(grid, windows)]
    assert all(outline.is_valid for outline in outlines)
    assert [outline.covers(shapely.Point(10, 90)) for outline in outlines] == [True, False, False, False]


@pytest.mark.parametrize(
    "transform", [Affine(3, 0, 0, 0, 0, 0), Affine(3, 3, 0, 3, 3, 0), Affine(np.nan, 0, 0, 0, -3, 0)]
)
def test_pixels_without_an_area_are_refused(tmp_path, transform):
    path = write_raster(tmp_path / "image.tif", np.ones((4, 8, 8), np.uint16), origin=ORIGIN, cell=CELL, crs=UTM)
    import rasterio

    with rasterio.open(path, "r+") as file:
        file.transform = transform
    with pytest.raises(UserError, match=r"image\.tif: its pixels have no area"):
        RasterFile.open(path)


SITE = 'LOCAL_CS["site",UNIT["metre",1]]'


@pytest.mark.parametrize("crs", [SITE, "EPSG:5773"])
def test_a_system_that_lies_nowhere_on_the_earth(crs):
    grid = Grid(10, 10, (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), crs)
    assert scene_outline(grid) is None
    assert window_geometries(grid, [Window(0, 0, 5, 5)]) == [None]


def test_no_way_leads_to_a_system_that_lies_nowhere(tmp_path):
    square = np.array([shapely.box(0, 0, 1, 1)])
    with pytest.raises(UserError, match="no way leads from the coordinate system WGS 84 / UTM zone 8N to site"):
        reproject_geometries(square, "EPSG:32608", SITE)
    grid = Grid(10, 10, (10.0, 0.0, 0.0, 0.0, -10.0, 0.0), "EPSG:32608")
    with pytest.raises(UserError, match=r"labels\.gpkg: the polygons cannot be placed: no way leads from"):
        polygons_on(grid, square, SITE, "labels.gpkg")
    values = np.ones((1, 8, 8), np.uint8)
    here, there = (
        RasterFile.open(write_raster(tmp_path / f"{i}.tif", values, origin=ORIGIN, cell=CELL, crs=crs))
        for i, crs in enumerate((UTM, SITE))
    )
    with pytest.raises(UserError, match=r"1\.tif cannot be aligned with .*0\.tif: no way leads between"):
        align(there, here)


def test_regions_that_are_no_vector_file(tmp_path):
    path = write_raster(tmp_path / "image.gpkg", np.ones((1, 8, 8), np.uint8), origin=ORIGIN, cell=CELL, crs=UTM)
    with pytest.raises(UserError, match=r"image\.gpkg: cannot be read as a vector file"):
        Regions.open(path)
