import json
from datetime import date

import numpy as np
import pytest
import shapely
from rasterio.crs import CRS

from darts_train.base.errors import UserError
from darts_train.raster.catalogue import CATALOGUE
from darts_train.raster.encoding import encode
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary import DEM, TRENDS, AuxiliaryRaster
from darts_train.scenes.georeference import same_crs, scene_outline, window_geometries
from darts_train.scenes.label_repository import LabelRepository, describe_matches, match_ids
from darts_train.scenes.planet import find_planet_scenes, open_planet_scene, parse_planet_id, udm2_quality
from darts_train.scenes.raster_file import RasterFile
from darts_train.scenes.regions import Regions
from tests.support.geo import (
    CELL,
    ORIGIN,
    ORTHOTILE_ID,
    PLANET_ID,
    UTM,
    box,
    elevation,
    label_repository,
    planet_scene,
    sample_pixels,
    test_data,
    trends,
    udm2,
    write_polygons,
    write_raster,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("20210714_201612_1035", date(2021, 7, 14)),
        ("20190702_064217_29_1065", date(2019, 7, 2)),
        ("4691214_0470419_2021-07-14_2455", date(2021, 7, 14)),
        ("20211314_201612_1035", None),
        ("20210714_201612_103", None),
        ("4691214_0470419_2021-07-14_245", None),
        ("iteration001", None),
        ("20210714_2016_1035", None),
    ],
)
def test_ids(name, day):
    assert parse_planet_id(name) == day


def test_quality_of_udm2():
    mask = np.zeros((8, 1, 5), np.uint8)
    mask[7, 0, 0] = mask[5, 0, 0] = 1  # unusable and cloud
    mask[1, 0, 1] = 1  # snow
    mask[6, 0, 2] = 90  # confidence says nothing
    mask[3, 0, 3] = 1  # light haze
    mask[7, 0, 4] = 64  # any bit of the last band
    assert udm2_quality(mask).tolist() == [[0, 1, 2, 1, 0]]


def test_quality_of_a_real_udm2():
    file = RasterFile.open(test_data("planet_udm/20151119_025740_0c74_3B_udm2_clip.tif"))
    counts, _ = file.read(range(8), file.grid.extent, float("nan"))
    quality = udm2_quality(counts)
    assert set(np.unique(quality)) <= {0, 1, 2}
    assert ((quality == 2) <= (counts[7] == 0)).all()
    assert np.array_equal(quality == 1, (counts[7] == 0) & (counts[1:6] == 1).any(axis=0))


def test_both_layouts_and_both_kinds_are_found(tmp_path):
    for place in (
        f"iteration001/Banks/{PLANET_ID}",
        f"iteration002/{ORTHOTILE_ID}",
        "notes/2021",
        f"x/{PLANET_ID}/inner",
    ):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "iteration001" / "loop").symlink_to(tmp_path)
    found = [path.relative_to(tmp_path).as_posix() for path in find_planet_scenes(tmp_path)]
    assert found == [f"iteration001/Banks/{PLANET_ID}", f"x/{PLANET_ID}", f"iteration002/{ORTHOTILE_ID}"]


def test_a_scene(tmp_path):
    mask = udm2(512, unusable=[np.s_[:10, :20]], cloud=[np.s_[100:120, :]])
    scene = open_planet_scene(planet_scene(tmp_path / PLANET_ID, mask=mask), region="Banks")
    assert (scene.scene_id, scene.date, scene.region) == (PLANET_ID, "2021-07-14", "Banks")
    assert scene.sun == (181.5, 38.25)
    assert scene.bands == {name: CATALOGUE[name] for name in ("blue", "green", "red", "nir")}
    values = scene.read(["nir", "red"], scene.grid.extent)
    counts = sample_pixels()
    codes, clipped = encode(values, [CATALOGUE["nir"], CATALOGUE["red"]])
    assert np.array_equal(codes, np.where(counts[[3, 2]] == 0, 65535, counts[[3, 2]] + 1000))
    assert not clipped.any()
    quality = scene.quality(Window(-5, -5, 600, 600))
    assert (quality[:5] == 0).all()
    assert (quality[5:15, 5:25] == 0).all()
    assert quality[110, 300] == 1
    assert quality[300, 300] == 2


@pytest.mark.parametrize("sun", ["properties", "top"])
def test_clipped_files_and_both_forms_of_metadata(tmp_path, sun):
    scene = open_planet_scene(planet_scene(tmp_path / ORTHOTILE_ID, clip="_clip", sun=sun))
    assert scene.sun == (181.5, 38.25)
    assert scene.source.endswith("_SR_clip.tif")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"properties": 3}', '{"sun_azimuth": "x", "sun_elevation": 3}'])
def test_metadata_without_a_sun_is_no_reason_to_lose_a_scene(tmp_path, content):
    directory = planet_scene(tmp_path / PLANET_ID)
    (directory / f"{PLANET_ID}_metadata.json").write_text(content)
    assert open_planet_scene(directory).sun is None


def test_incomplete_scenes_are_refused_with_the_reason(tmp_path):
    directory = planet_scene(tmp_path / PLANET_ID)
    mask = next(directory.glob("*udm2.tif"))
    image = next(directory.glob("*_SR.tif"))
    write_raster(mask, np.zeros((1, 512, 512), np.uint8))
    with pytest.raises(UserError, match="1 bands; a UDM2 has 8"):
        open_planet_scene(directory)
    write_raster(mask, udm2(512), origin=(ORIGIN[0], ORIGIN[1] + 30))
    with pytest.raises(UserError, match="does not lie on"):
        open_planet_scene(directory)
    mask.unlink()
    with pytest.raises(UserError, match=r"no \*_udm2\.tif"):
        open_planet_scene(directory)
    write_raster(mask, udm2(512))
    write_raster(image, sample_pixels(bands=3))
    with pytest.raises(UserError, match="3 bands; a PLANET image has 4 or 8"):
        open_planet_scene(directory)
    with pytest.raises(UserError, match="no PLANET image id"):
        open_planet_scene(tmp_path)


def test_elevation_and_trends_go_on_beyond_the_scene(tmp_path):
    dem = AuxiliaryRaster.open(elevation(tmp_path / "dem" / "dem.tif"), DEM, "--arcticdem-dir")
    tc = AuxiliaryRaster.open(trends(tmp_path / "tc" / "tc.tif").parent, TRENDS, "--tcvis-dir")
    scene = open_planet_scene(planet_scene(tmp_path / PLANET_ID), [dem, tc])
    assert set(scene.bands) == {"blue", "green", "red", "nir", "dem", *TRENDS}
    values = scene.read(["dem", "red", "tc_wetness"], Window(-20, -20, 100, 100))
    assert not np.isnan(values[0]).any()
    assert np.isnan(values[1, :20]).all()
    assert not np.isnan(values[2]).any()
    assert 100 < values[0].min() < values[0].max() < 300
    assert np.isnan(scene.read(["dem"], Window(20000, 0, 4, 4))).all()


def test_an_elevation_model_is_laid_where_it_belongs(tmp_path):
    heights = (np.mgrid[0:60, 0:60][1] * 12.0 + 100).astype(
        np.float32
    )  # rises by 1 m per metre eastwards, cells of 12 m
    dem = AuxiliaryRaster.open(write_raster(tmp_path / "dem.tif", heights, cell=12.0), DEM, "--arcticdem-dir")
    grid = Grid(100, 100, (CELL, 0.0, ORIGIN[0] + 60, 0.0, -CELL, ORIGIN[1] - 60), UTM)
    found = dem.read(DEM, grid)[0]
    expected = 100 + (60 + (np.arange(100) + 0.5) * CELL) - 6.0  # a cell's height is that of its centre
    assert np.allclose(found, expected[None, :], atol=0.05)


def test_auxiliary_directories(tmp_path):
    with pytest.raises(UserError, match="--arcticdem-dir: no raster in"):
        AuxiliaryRaster.open(tmp_path, DEM, "--arcticdem-dir")
    elevation(tmp_path / "a.tif")
    with pytest.raises(UserError, match="1 bands; tc_brightness, tc_greenness, tc_wetness are needed"):
        AuxiliaryRaster.open(tmp_path, TRENDS, "--tcvis-dir")
    (tmp_path / "a.vrt").write_text("")
    (tmp_path / "b.vrt").write_text("")
    with pytest.raises(UserError, match=r"a\.vrt, b\.vrt; name one"):
        AuxiliaryRaster.open(tmp_path, DEM, "--arcticdem-dir")
    write_raster(tmp_path / "c" / "c.tif", np.ones((4, 4), np.float32), origin=None)
    with pytest.raises(UserError, match="no georeference"):
        AuxiliaryRaster.open(tmp_path / "c", DEM, "--arcticdem-dir")


def test_label_ids_match_exactly_or_by_a_unique_beginning():
    images = ["4691214_0470419_2021-07-14_2455", "20210714_201612_1035", "20210714_201612_1036"]
    matches = match_ids(
        ["4691214_0470419_2021-07-14_245", "20210714_201612_1035", "20210714_201612_103", "2021", ""], images
    )
    assert matches.exact == {"20210714_201612_1035": "20210714_201612_1035"}
    assert matches.prefix == {"4691214_0470419_2021-07-14_245": "4691214_0470419_2021-07-14_2455"}
    assert matches.unmatched == ("", "2021", "20210714_201612_103")


def test_the_public_label_repository():
    repository = LabelRepository.open(test_data("rts_labels"))
    matches = repository.match([])
    assert len(repository.polygons.geometries) == 3749
    assert (repository.polygons.mended, repository.polygons.dropped) == (11, 0)
    assert len(repository.footprints) == 29
    assert (len(matches.exact), repository.count(matches.exact)) == (15, 1426)
    assert (len(matches.prefix), repository.count(matches.prefix)) == (5, 141)
    assert repository.count(matches.unmatched) == 2182
    assert shapely.is_valid(repository.polygons.geometries).all()
    assert len(describe_matches(repository, matches)) == 2
    per_image = [len(repository.of_image(image, matches).geometries) for image in repository.footprints]
    assert sum(per_image) == 1426 + 141


def test_footprints_of_an_image_are_united(tmp_path):
    rows = [(PLANET_ID, box(0, 0, 10, 10)), (PLANET_ID, box(5, 0, 10, 10))]
    repository = LabelRepository.open(label_repository(tmp_path, [(PLANET_ID, box(1, 1, 2, 2))], rows))
    assert list(repository.footprints) == [PLANET_ID]
    assert repository.footprints[PLANET_ID].geom_type == "Polygon"


def test_a_vector_file_or_a_directory_of_some_is_a_repository(tmp_path):
    path = write_polygons(tmp_path / "a.gpkg", [box(1, 1, 2, 2)], image_id=[PLANET_ID])
    write_polygons(tmp_path / "b.geojson", [box(3, 3, 2, 2)], image_id=[PLANET_ID])
    assert len(LabelRepository.open(path).polygons.geometries) == 1
    assert len(LabelRepository.open(tmp_path).polygons.geometries) == 2
    other = write_polygons(tmp_path / "c" / "c.gpkg", [box(1, 1, 2, 2)], image=["x"])
    with pytest.raises(UserError, match="no column image_id; it has image; nearest: image"):
        LabelRepository.open(other)
    with pytest.raises(UserError, match="does not exist"):
        LabelRepository.open(tmp_path / "none")


def scene_grid(column, size=100):
    return Grid(size, size, (CELL, 0.0, ORIGIN[0] + column * CELL, 0.0, -CELL, ORIGIN[1]), UTM)


def test_the_region_is_the_one_with_the_largest_share(tmp_path):
    areas = [
        box(0, 0, 120, 500),
        box(120, 0, 500, 500),
        box(620, 0, 30, 500),
        box(650, 0, 20, 500),
        box(670, 0, 40, 500),
    ]
    names = ["west", "east", "two", "one", "two"]
    path = write_polygons(tmp_path / "ADM1.geojson", areas, shapeName=names, name=list("abcde"))
    regions = Regions.open(path)
    assert regions.name_of(scene_grid(0), "a") == "west"
    assert regions.name_of(scene_grid(90), "a") == "east"
    assert regions.name_of(scene_grid(615), "a") == "two"  # 30 + 40 columns of two parts, against 20 of one
    assert regions.name_of(scene_grid(5000), "a") == "No Region"
    assert regions.name_of(Grid(10, 10), "a") == "No Region"
    assert Regions.open(path, "name").name_of(scene_grid(0), "a") == "a"


def test_region_files(tmp_path):
    write_polygons(tmp_path / "gb_ADM1.shp", [box(0, 0, 9, 9)], shapeName=["one"])
    write_polygons(tmp_path / "gb_ADM2.shp", [box(0, 0, 9, 9)], shapeName=["two"])
    assert Regions.open(tmp_path).names.tolist() == ["two"]
    write_polygons(tmp_path / "more" / "x.geojson", [box(0, 0, 9, 9)], title=["x"])
    with pytest.raises(UserError, match="--region-column: title"):
        Regions.open(tmp_path / "more")
    write_polygons(tmp_path / "more" / "y.geojson", [box(0, 0, 9, 9)], name=["x"])
    with pytest.raises(UserError, match=r"holds x\.geojson, y\.geojson; name one"):
        Regions.open(tmp_path / "more")


def test_regions_of_natural_earth():
    regions = Regions.open(test_data("boundaries"))
    grid = Grid(8000, 8000, (3.125, 0.0, 480000.0, 0.0, -3.125, 7700000.0), "EPSG:32608")  # Mackenzie delta
    assert regions.name_of(grid, "a") in {"Northwest Territories", "Yukon"}


def test_outlines_are_cut_at_the_antimeridian():
    grid = Grid(400, 400, (100.0, 0.0, 1e6, 0.0, -100.0, 7600000.0), "EPSG:32601")
    across = Grid(100, 100, (0.02, 0.0, 179.0, 0.0, -0.02, 68.0), "EPSG:4326")
    outline = scene_outline(across)
    assert outline.geom_type == "MultiPolygon"
    assert outline.bounds[0] == pytest.approx(-180)
    assert outline.bounds[2] == pytest.approx(180)
    assert outline.area == pytest.approx(4, rel=1e-6)
    assert scene_outline(grid).geom_type == "Polygon"
    assert scene_outline(Grid(4, 4)) is None
    assert window_geometries(Grid(4, 4), [Window(0, 0, 2, 2)]) == [None]
    assert window_geometries(grid, []) == []


def test_coordinate_systems_are_compared_by_meaning():
    wkt = CRS.from_string("EPSG:32608").to_wkt()
    assert same_crs("EPSG:32608", wkt)
    assert not same_crs("EPSG:32608", "EPSG:32609")
    assert not same_crs("EPSG:32608", None)
    assert same_crs(None, None)
    assert not same_crs("nonsense", "EPSG:4326")


def test_sun_without_a_file(tmp_path):
    directory = planet_scene(tmp_path / PLANET_ID)
    (directory / f"{PLANET_ID}_metadata.json").unlink()
    (directory / f"{PLANET_ID}.json").write_text(json.dumps({"sun_azimuth": 1}))
    assert open_planet_scene(directory).sun is None
