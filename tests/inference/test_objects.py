"""Polygons of strips are those of the whole map, whatever the strips."""

import geopandas as gpd
import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from darts_train.inference.writing import polygons
from darts_train.inference.writing.objects import EIGHT, ObjectFinder
from darts_train.inference.writing.polygons import write_segments
from darts_train.inference.writing.rasters import CLASSES, PROBABILITIES, tiff
from darts_train.raster.grid import Grid

UTM = "EPSG:32608"


def found(classes, percents, rows, count=3, least=1):
    """Objects of a map cut into strips of so many rows, by place."""
    finder = ObjectFinder(count, least)
    height = len(classes)
    objects = [
        one
        for top in range(0, height, rows)
        for one in finder.take(classes[top : top + rows], percents[:, top : top + rows], top + rows >= height)
    ]
    return sorted(
        (one.class_index, one.pixels, one.percents, one.greatest, shapely.to_wkt(one.outline)) for one in objects
    )


@settings(max_examples=50, deadline=None)
@given(
    classes=arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 9)), elements=st.sampled_from([0, 1, 1, 2])),
    rows=st.integers(1, 14),
    least=st.integers(1, 4),
)
def test_strips_do_not_matter(classes, rows, least):
    percents = (np.arange(3 * classes.size) * 37 % 101).astype(np.uint8).reshape(3, *classes.shape)
    whole = found(classes, percents, len(classes), least=least)
    assert found(classes, percents, rows, least=least) == whole
    expected = []
    for index in (1, 2):
        labels, count = ndimage.label(classes == index, structure=EIGHT)
        for number in range(1, count + 1):
            here = labels == number
            outline = rasterio.features.shapes(here.astype(np.uint8), mask=here, connectivity=4)
            area = shapely.union_all([shapely.geometry.shape(shape) for shape, _ in outline])
            chances = percents[index][here]
            expected.append((index, int(here.sum()), int(chances.sum()), int(chances.max()), area))
    expected = [row for row in expected if row[1] >= least]
    assert sorted(row[:4] for row in expected) == [row[:4] for row in whole]
    for row in whole:
        outline = shapely.from_wkt(row[4])
        assert outline.is_valid
        assert any(row[:4] == other[:4] and outline.equals(other[4]) for other in expected)


def test_a_ring_over_a_border_has_a_hole_and_no_point_too_many():
    classes = np.ones((6, 5), np.uint8)
    classes[2:4, 2] = 0
    ((_, pixels, percents, greatest, outline),) = found(classes, np.full((1, 6, 5), 7, np.uint8), 3, 2)
    assert (pixels, percents, greatest) == (28, 28 * 7, 7)
    assert (
        shapely.from_wkt(outline)
        .normalize()
        .equals_exact(shapely.MultiPolygon([shapely.box(0, 0, 5, 6) - shapely.box(2, 2, 3, 4)]).normalize())
    )
    assert shapely.get_num_coordinates(shapely.from_wkt(outline)) == 10


def test_only_open_objects_are_remembered():
    finder = ObjectFinder(2)
    classes = np.zeros((8, 40), np.uint8)
    classes[::2, ::2] = 1  # single pixels
    classes[:, -1] = 1  # and one that never ends
    for _ in range(3):
        assert len(list(finder.take(classes, classes[None], last=False))) == 4 * 19
        assert len(finder._open.parts) == 1


@pytest.fixture(scope="module")
def maps(tmp_path_factory):
    directory = tmp_path_factory.mktemp("map")
    classes = (np.random.default_rng(1).random((40, 30)) < 0.4).astype(np.uint8)
    (directory / CLASSES).write_bytes(tiff(classes[None]))
    (directory / PROBABILITIES).write_bytes(tiff(np.full((1, 40, 30), 60, np.uint8)))
    return directory, classes


def test_geopackage_and_geoparquet_in_batches(maps, monkeypatch):
    directory, classes = maps
    monkeypatch.setattr(polygons, "BATCH", 10)
    grid = Grid(30, 40, (10.0, 0, 500000, 0, -10.0, 7600000), UTM)
    total = write_segments(directory, grid, ("land", "slump"), 1, ("gpkg", "geoparquet"))
    one, other = gpd.read_file(directory / "segments.gpkg"), gpd.read_parquet(directory / "segments.parquet")
    assert len(one) == len(other) == total == ndimage.label(classes, EIGHT)[1] > 20
    assert one.crs == other.crs
    assert one["area_m2"].sum() == pytest.approx(100 * classes.sum())
    assert one.geometry.geom_equals(other.geometry).all()
    for name in ("class_index", "class", "pixels", "area_m2", "mean_probability", "max_probability"):
        assert one[name].tolist() == other[name].tolist()
    first = (directory / "segments.gpkg").read_bytes()
    (directory / "segments.gpkg").unlink()
    write_segments(directory, grid, ("land", "slump"), 1)
    assert (directory / "segments.gpkg").read_bytes() == first  # no time of day in it


def test_a_turned_grid_keeps_its_areas(maps, tmp_path):
    directory, _ = maps
    turn = np.radians(30)
    a, b = 10 * np.cos(turn), 10 * np.sin(turn)
    for name in (CLASSES, PROBABILITIES):
        (tmp_path / name).write_bytes((directory / name).read_bytes())
    write_segments(tmp_path, Grid(30, 40, (a, b, 500000, b, -a, 7600000), UTM), ("land", "slump"), 1)
    frame = gpd.read_file(tmp_path / "segments.gpkg")
    assert frame["area_m2"].to_numpy() == pytest.approx(100 * frame["pixels"].to_numpy())


@pytest.mark.parametrize("pixels", [1, 100, 10**6])
def test_a_map_of_several_rows_of_tiles(tmp_path, pixels):
    """600 rows: two rows of tiles, each searched in strips, or in one piece."""
    classes = np.zeros((600, 4), np.uint8)
    classes[3:598, 1] = classes[500:, 3] = classes[0, 0] = 1
    (tmp_path / CLASSES).write_bytes(tiff(classes[None]))
    (tmp_path / PROBABILITIES).write_bytes(tiff(classes[None] * 80))
    found = list(polygons.iter_objects(tmp_path, 2, 1, pixels))
    assert sorted(one.pixels for one in found) == [1, 100, 595]
    assert {one.outline.bounds for one in found} == {(0, 0, 1, 1), (1, 3, 2, 598), (3, 500, 4, 600)}
