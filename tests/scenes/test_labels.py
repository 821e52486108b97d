import dataclasses
import json

import numpy as np
import pytest
import shapely

from darts_train.base.errors import UserError
from darts_train.raster.band import IGNORE_INDEX
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.class_values import classes_of, could_be_pairs, mapping_text, parse_remap, uncovered
from darts_train.scenes.labels import PolygonLabels, RasterLabels, check_label_raster, polygons_on
from darts_train.scenes.polygons import class_indices, mend, read_polygons
from darts_train.scenes.raster_file import RasterFile
from tests.support.geo import CELL, ORIGIN, SAMPLE, UTM, box, test_data, write_polygons, write_raster

GRID = Grid(20, 16, (CELL, 0.0, ORIGIN[0], 0.0, -CELL, ORIGIN[1]), UTM)


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        (None, {0: 0, 1: 1, 2: 2}),
        ("0:0,4:1,9:-100", {0: 0, 4: 1, 9: IGNORE_INDEX}),
        ("0,-100,1,2", {0: 0, 1: IGNORE_INDEX, 2: 1, 3: 2}),
        (" [0, 1] ", {0: 0, 1: 1}),
        ("{-1: -100, 0: 0}", {-1: IGNORE_INDEX, 0: 0}),
    ],
)
def test_remap(text, mapping):
    assert parse_remap(text, 3) == mapping


@pytest.mark.parametrize(
    ("text", "form", "mapping"),
    [
        ("0 -100 1 2", "list", {0: 0, 1: IGNORE_INDEX, 2: 1, 3: 2}),
        ("0, -100, 1, 2", "auto", {0: 0, 1: IGNORE_INDEX, 2: 1, 3: 2}),
        ("0 0 1 -100 2 1", "pairs", {0: 0, 1: IGNORE_INDEX, 2: 1}),
        ("-1,-100,0,0,5,2", "pairs", {-1: IGNORE_INDEX, 0: 0, 5: 2}),
        ("0 : 0  1: -100", "pairs", {0: 0, 1: IGNORE_INDEX}),
    ],
)
def test_forms_of_remaps(text, form, mapping):
    assert parse_remap(text, 3, form) == mapping
    assert parse_remap(mapping_text(mapping), 3) == mapping


def test_remaps_that_contradict_their_form():
    with pytest.raises(UserError, match="--remap-format list"):
        parse_remap("0:1", 3, "list")
    with pytest.raises(UserError, match="--remap-format pairs"):
        parse_remap("0 1 2", 3, "pairs")
    with pytest.raises(UserError, match=r"4 is no class; .* bare pairs want --remap-format pairs"):
        parse_remap("0 0 4 1", 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0,-100,1,2", True),
        ("0 0 1 -100 2 1", True),
        ("0,1", False),
        ("0,1,2", False),
        ("0,0,0,1", False),
        ("0:0", False),
    ],
)
def test_lists_that_could_be_pairs(text, expected):
    assert could_be_pairs(text, 3) == expected


@pytest.mark.parametrize("text", ["", "a", "0:0,0:1", "0:3", "0,1,5", "0:0:0", "0:-1", "0:0,1", "1.5:0"])
def test_wrong_remaps_are_refused(text):
    with pytest.raises(UserError, match="--remap"):
        parse_remap(text, 3)


def test_values_to_classes():
    values, valid = np.array([[0, 4, 9], [4, 7, 0]]), np.array([[True] * 3, [True, True, False]])
    mapping = {0: 0, 4: 1, 9: IGNORE_INDEX}
    assert classes_of(values, valid, mapping).tolist() == [[0, 1, 255], [1, 255, 255]]
    assert uncovered(values, valid, mapping) == {7.0: 1}


def test_float_labels_with_nan(tmp_path):
    values = np.array([[0.0, 1.0], [np.nan, 1.0]], np.float32)
    file = RasterFile.open(write_raster(tmp_path / "a.tif", values, nodata=np.nan))
    labels = RasterLabels(file, {0: 0, 1: 1})
    assert labels.read(file.grid.extent).tolist() == [[0, 1], [255, 1]]
    assert labels.census() == {}


def test_beyond_a_label_raster_nobody_knows(tmp_path):
    file = RasterFile.open(write_raster(tmp_path / "a.tif", np.ones((3, 3), np.uint8)))
    assert RasterLabels(file, {0: 0, 1: 1}).read(Window(2, 2, 2, 2)).tolist() == [[1, 255], [255, 255]]


def test_zero_as_no_data_is_ignored_unless_named(tmp_path):
    file = RasterFile.open(write_raster(tmp_path / "a.tif", np.array([[0, 1]], np.uint8), nodata=0))
    assert RasterLabels(file, {0: 0, 1: 1}).read(file.grid.extent).tolist() == [[255, 1]]
    assert RasterLabels(file, {0: 0, 1: 1}, mapping_first=True).read(file.grid.extent).tolist() == [[0, 1]]


def test_census_counts_all_parts(tmp_path, monkeypatch):
    values = np.zeros((50, 10), np.uint8)
    values[7, 3], values[49] = 9, 5
    monkeypatch.setattr("darts_train.scenes.labels._CENSUS_PIXELS", 64)
    file = RasterFile.open(write_raster(tmp_path / "a.tif", values))
    assert RasterLabels(file, {0: 0}).census() == {9.0: 1, 5.0: 10}


def test_a_label_raster_must_lie_on_its_image(tmp_path):
    image = RasterFile.open(write_raster(tmp_path / "i.tif", np.ones((2, 10, 10), np.uint16)))

    def label(name, values, **place):
        return RasterFile.open(write_raster(tmp_path / name, values, **place))

    ones = np.ones((10, 10), np.uint8)
    check_label_raster(image, label("ok.tif", ones))
    check_label_raster(image, label("plain.tif", ones, origin=None))
    for name, wrong, message in [
        ("shift.tif", {"origin": (ORIGIN[0] + CELL, ORIGIN[1])}, r"shift\.tif does not lie on.*shifted by 1 pixels"),
        ("cell.tif", {"cell": 6.0}, "pixel size 6 x 6 against 3 x 3"),
        ("crs.tif", {"crs": "EPSG:32609"}, "EPSG:32609 against EPSG:32608"),
    ]:
        with pytest.raises(UserError, match=message):
            check_label_raster(image, label(name, ones, **wrong))
    with pytest.raises(UserError, match="9 x 10 pixels against 10 x 10"):
        check_label_raster(image, label("small.tif", ones[:, :9]))
    with pytest.raises(UserError, match="one band, this has 3"):
        check_label_raster(image, label("rgb.tif", np.ones((3, 10, 10), np.uint8)))


def test_burning_goes_by_pixel_centres():
    polygon = box(2.4, 3.6, 3, 2)  # holds the centres of columns 2 to 4, rows 4 and 5
    labels = PolygonLabels(GRID, np.array([polygon]), np.array([1], np.uint8))
    expected = np.zeros((16, 20), np.uint8)
    expected[4:6, 2:5] = 1
    assert np.array_equal(labels.read(GRID.extent), expected)
    part = Window(3, 2, 6, 9)
    rows, columns = part.slices(GRID.extent)
    assert np.array_equal(labels.read(part), expected[rows, columns])


def test_outside_the_extent_and_the_scene_nobody_knows():
    labels = PolygonLabels(GRID, np.array([box(0, 0, 20, 2)]), np.array([1], np.uint8), box(0, 0, 10, 16))
    read = labels.read(Window(-1, -1, 22, 18))
    assert (read[0] == 255).all()
    assert (read[:, 0] == 255).all()
    assert (read[1:3, 1:11] == 1).all()
    assert (read[3:17, 1:11] == 0).all()
    assert (read[:, 11:] == 255).all()
    assert (PolygonLabels(GRID, np.empty(0, object), np.empty(0, np.uint8)).read(GRID.extent) == 0).all()


def test_of_overlapping_polygons_the_last_wins():
    polygons = np.array([box(0, 0, 6, 6), box(3, 3, 6, 6)])
    read = PolygonLabels(GRID, polygons, np.array([2, 1], np.uint8)).read(GRID.extent)
    assert (read[0, 0], read[4, 4], read[8, 8]) == (2, 1, 1)


def test_features_are_in_degrees_and_touch_the_scene():
    polygons = np.array([box(2, 2, 3, 3), box(500, 500, 3, 3)])
    (feature,) = PolygonLabels(GRID, polygons, np.array([1, 1], np.uint8)).features({"sample_id": "a"})
    assert feature["properties"] == {"sample_id": "a", "class": 1}
    longitude, latitude = feature["geometry"]["coordinates"][0][0]
    assert -135 < longitude < -134
    assert 69 < latitude < 70


def test_polygons_in_degrees_are_brought_onto_the_scene(tmp_path):
    path = write_polygons(tmp_path / "a.geojson", [box(2, 3, 4, 5)])
    polygons = read_polygons(path)
    there = polygons_on(GRID, polygons.geometries, polygons.crs, "a")
    read = PolygonLabels(GRID, there, np.array([1], np.uint8)).read(GRID.extent)
    assert (read == 1).sum() == 20
    assert (read[3:8, 2:6] == 1).all()


def test_polygons_need_a_place_on_the_earth(tmp_path):
    polygons = read_polygons(write_polygons(tmp_path / "a.geojson", [box(2, 3, 4, 5)]))
    with pytest.raises(UserError, match="the image has no coordinate reference system"):
        polygons_on(Grid(20, 16), polygons.geometries, polygons.crs, "a.geojson")
    with pytest.raises(UserError, match=r"a\.shp has no coordinate"):
        polygons_on(GRID, polygons.geometries, None, "a.shp")
    assert polygons_on(Grid(20, 16), polygons.geometries, None, "a.shp") is polygons.geometries


def test_mending():
    bow_tie = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    spike = shapely.Polygon([(0, 0), (4, 0), (4, 4), (4, 9), (4, 4), (0, 4)])
    line = shapely.Polygon([(0, 0), (1, 1), (0, 0)])
    good = shapely.box(0, 0, 1, 1)
    mended, count = mend(np.array([bow_tie, spike, line, good, shapely.Polygon(), None]), "a")
    assert count == 3
    assert mended[0].area == pytest.approx(2)
    assert mended[1].area == pytest.approx(16)
    assert mended[1].geom_type in ("Polygon", "MultiPolygon")
    assert mended[2].is_empty
    assert mended[3].equals(good)
    assert mended[5] is None
    with pytest.raises(UserError, match="1 of 2 shapes are no polygons"):
        mend(np.array([good, shapely.Point(1, 1)]), "a")


def test_a_polygon_with_an_infinite_corner_is_left_out(tmp_path):
    endless = shapely.Polygon([(0, 0), (np.inf, 0), (1, 1)])
    found = read_polygons(write_polygons(tmp_path / "l.gpkg", [endless, box(1, 1, 4, 4)], to=None))
    assert (len(found.geometries), found.dropped) == (1, 1)


def test_the_geometry_is_no_column(tmp_path):
    path = write_polygons(tmp_path / "l.gpkg", [box(1, 1, 4, 4)], kind=["slump"])
    with pytest.raises(UserError, match="no column geometry; it has kind"):
        read_polygons(path, class_column="geometry")


def test_classes_of_polygons(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [box(0, 0, 1, 1), box(2, 2, 1, 1)], kind=["road", "lake"])
    polygons = read_polygons(path, None, "kind")
    classes = ("background", "lake", "road")
    assert class_indices(polygons, classes, "kind").tolist() == [2, 1]
    assert class_indices(polygons, classes, None).tolist() == [1, 1]
    with pytest.raises(UserError, match=r"kind holds road \(1\), not among"):
        class_indices(polygons, ("background", "lake"), "kind")
    with pytest.raises(UserError, match=r"no column kin; it has kind; nearest: kind"):
        read_polygons(path, "kin")


@pytest.mark.parametrize("name", ["a.gpkg", "a.geojson", "a.shp"])
def test_broken_vector_files_are_refused(tmp_path, name):
    (tmp_path / name).write_text("nothing of the kind")
    with pytest.raises(UserError, match="cannot be read as a vector file"):
        read_polygons(tmp_path / name)


def test_rings_that_do_not_close_are_refused(tmp_path):
    ring = [[0, 0], [1, 0], [1, 1], [0, 0.5]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.raises(UserError, match="cannot be read as a vector file"):
        read_polygons(tmp_path / "a.geojson")


def test_real_polygons_on_a_real_orthophoto():
    polygons = read_polygons(test_data("aerial_bakerlake_nb/labels_clipped_derived.gpkg"), None, "Quatreclasses")
    image = RasterFile.open(test_data("aerial_bakerlake_nb/23322E759967N_clipped_1m_1of2.tif"))
    names = ("background", "1", "2", "3", "4")
    there = polygons_on(image.grid, polygons.geometries, polygons.crs, "labels")
    read = PolygonLabels(image.grid, there, class_indices(polygons, names, "Quatreclasses")).read(image.grid.extent)
    shares = sorted(float((read == i).mean()) for i in range(1, 5))
    assert shares == pytest.approx([0.039, 0.054, 0.106, 0.141], abs=0.002)
    classes = ("background", "a", "b", "c", "d")  # values are indices where they are no names
    assert np.array_equal(class_indices(polygons, classes, "x"), class_indices(polygons, names, "x"))


@pytest.mark.parametrize(
    ("block", "pixels"), [((16, 16), 700), ((1, 40), 100), ((64, 40), 100), ((8, 40), 1600), ((1, 1), 7)]
)
def test_parts_cover_a_raster_once(block, pixels):
    file = RasterFile.open(SAMPLE / "landsat7_mask.tif")
    part = dataclasses.replace(file, grid=Grid(40, 50), block=block)
    counts = np.zeros((50, 40), int)
    for window in part.parts(pixels):
        counts[window.slices(Window(0, 0, 40, 50))] += 1
    assert (counts == 1).all()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32"])
def test_values_of_all_types(dtype):
    values = np.array([[0, 3, 7], [7, 100, 3]], dtype)
    values[0, 0] = -1 if np.dtype(dtype).kind in "if" else 0
    mapping = {-1: 1, 3: 0, 300: 1, -70000: 0}
    expected = [[1 if values[0, 0] < 0 else 255, 0, 255], [255, 255, 0]]
    assert classes_of(values, np.ones((2, 3), bool), mapping).tolist() == expected
    others = {7.0: 2, 100.0: 1} | ({} if values[0, 0] < 0 else {0.0: 1})
    assert uncovered(values, np.ones((2, 3), bool), mapping) == others
