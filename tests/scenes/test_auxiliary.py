"""Elevation and trends: what is refused, what a cube may look like, the antimeridian, what the network does."""

import base64
import shutil
import struct

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from darts_train.base.errors import UserError
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary import DEM, TRENDS, AuxiliaryRaster, require_cover
from darts_train.scenes.auxiliary_remote import public_address
from darts_train.scenes.auxiliary_tiles import TileMosaic
from tests.scenes.cubes import add, write_cube
from tests.scenes.loopback import serve
from tests.support.geo import CELL, ORIGIN, UTM, write_raster

OPTION = "--arcticdem-dir"
GRID = Grid(40, 40, (CELL, 0.0, ORIGIN[0] + 30, 0.0, -CELL, ORIGIN[1] - 30), UTM)
GROUND = np.random.default_rng(0).normal(100, 5, (60, 60)).astype(np.float32)


def open_dem(path):
    return AuxiliaryRaster.open(path, DEM, OPTION)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crs": "EPSG:32609"}, "coordinate system EPSG:32609 against EPSG:32608"),
        ({"cell": 2.0}, "pixel size 2 x 2 against 3 x 3"),
        ({"origin": (ORIGIN[0] + 1.2, ORIGIN[1])}, "shifted by 0.4 and -?0 of a pixel"),
        ({"bands": 2}, "2 bands against 1"),
    ],
)
def test_tiles_that_do_not_fit_are_named_with_the_numbers(tmp_path, changes, message):
    write_raster(tmp_path / "a.tif", GROUND)
    bands = changes.pop("bands", 1)
    write_raster(tmp_path / "sub" / "b.tif", np.stack([GROUND] * bands), **changes)
    with pytest.raises(UserError, match=message) as error:
        open_dem(tmp_path)
    assert "b.tif" in str(error.value)
    assert "a.tif" in str(error.value)


def test_of_overlapping_tiles_the_first_with_data_counts(tmp_path):
    first, second = np.full((20, 20), 1.0, np.float32), np.full((20, 20), 2.0, np.float32)
    first[5:9, 12:15] = -1
    write_raster(tmp_path / "a.tif", first, nodata=-1)
    write_raster(tmp_path / "b.tif", second, origin=(ORIGIN[0] + 10 * CELL, ORIGIN[1]))
    mosaic = open_dem(tmp_path).source
    assert (mosaic.grid.width, mosaic.grid.height) == (30, 20)
    pixels = mosaic.read([0], mosaic.grid.extent)[0]
    assert (pixels[:, :10] == 1).all()
    assert (pixels[5:9, 12:15] == 2).all()
    assert (pixels == 1).sum() == 400 - 12
    assert not np.isnan(pixels).any()


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_a_mosaic_is_what_it_was_cut_from(tmp_path_factory, data):
    """Any cutting of a raster into tiles, with any overlap, gives any window back."""
    root = tmp_path_factory.mktemp("cut")
    step, more = data.draw(st.integers(9, 60)), data.draw(st.integers(0, 8))
    for row in range(0, 60, step):
        for column in range(0, 60, step):
            origin = (ORIGIN[0] + column * CELL, ORIGIN[1] - row * CELL)
            part = GROUND[row : row + step + more, column : column + step + more]
            write_raster(root / f"{data.draw(st.integers(0, 9))}" / f"{row}_{column}.tif", part, origin=origin)
    source = open_dem(root).source
    x, y = data.draw(st.integers(0, 59)), data.draw(st.integers(0, 59))
    window = Window(x, y, data.draw(st.integers(1, 60 - x)), data.draw(st.integers(1, 60 - y)))
    assert np.array_equal(source.read([0], window)[0], GROUND[window.slices(source.grid.extent)])
    shutil.rmtree(root)


def test_a_tile_that_is_cut_short_is_named(tmp_path):
    for name in "ab":
        write_raster(tmp_path / f"{name}.tif", GROUND)
    (tmp_path / "b.tif").write_bytes((tmp_path / "b.tif").read_bytes()[:9000])
    with pytest.raises(UserError, match=r"b\.tif.*(cut short|cannot be read)"):
        open_dem(tmp_path)


def test_a_gap_in_the_mosaic_is_no_data_and_not_covered(tmp_path):
    for name, column in (("a", 0), ("b", 40)):
        write_raster(tmp_path / f"{name}.tif", GROUND[:, :20], origin=(ORIGIN[0] + column * CELL, ORIGIN[1]))
    mosaic = open_dem(tmp_path)
    grid = Grid(60, 60, (CELL, 0.0, ORIGIN[0], 0.0, -CELL, ORIGIN[1]), UTM)
    assert isinstance(mosaic.source, TileMosaic)
    assert mosaic.covers(grid) == pytest.approx(2 / 3)
    assert np.isnan(mosaic.read(DEM, grid)[0, :, 21:39]).all()
    assert np.array_equal(mosaic.read(DEM, grid)[0, 5:50, 2:18], GROUND[5:50, 2:18])


def test_cover_is_required_and_said(tmp_path, caplog):
    dem = open_dem(write_raster(tmp_path / "a.tif", GROUND))
    inside = Grid(40, 40, (CELL, 0.0, ORIGIN[0], 0.0, -CELL, ORIGIN[1]), UTM)
    with caplog.at_level("WARNING"):
        require_cover("one", inside, [dem])
        assert caplog.messages == []
        require_cover("two", inside.window(Window(40, 0, 40, 40)), [dem])
        assert len(caplog.messages) == 1
        assert "two" in caplog.messages[0]
        assert "50 %" in caplog.messages[0]
    with pytest.raises(UserError, match="covers none of it"):
        require_cover("three", inside.window(Window(400, 0, 40, 40)), [dem])


def cube(path, **changes):
    return write_cube(path, {"dem": GROUND}, ORIGIN, CELL, UTM, **changes)


@pytest.mark.parametrize("fmt", [2, 3])
def test_trends_by_variable_with_fill_values(tmp_path, fmt):
    rng = np.random.default_rng(1)
    planes = {name: rng.integers(1, 250, (60, 60)).astype(np.uint8) for name in ("TCW_slope", "TCB_slope", "TCG_slope")}
    planes["TCG_slope"][20:30, 20:30] = 0
    write_cube(tmp_path / "c", planes, ORIGIN, CELL, UTM, fmt=fmt, dtype="u1", attributes={"_FillValue": 0}, layers=3)
    found = AuxiliaryRaster.open(tmp_path / "c", TRENDS, "--tcvis-dir").read(["tc_greenness", "tc_wetness"], GRID)
    assert np.isnan(found[0, 11:18, 11:18]).all()
    assert not np.isnan(found[1]).any()
    assert np.array_equal(found[1], planes["TCW_slope"][10:50, 10:50])


def test_fill_value_of_format_three_in_base64(tmp_path):
    holed = GROUND.copy()
    holed[30, 30] = -9999.0
    fill = base64.standard_b64encode(struct.pack("<d", -9999.0)).decode()
    write_cube(tmp_path / "c", {"dem": holed}, ORIGIN, CELL, UTM, attributes={"_FillValue": fill})
    source = open_dem(tmp_path / "c").source
    pixels = source.read([0], source.grid.extent)
    assert np.isnan(pixels).sum() == 1
    assert np.isnan(pixels[0, 30, 30])


def test_one_variable_of_another_name_is_taken_for_elevation(tmp_path):
    write_cube(tmp_path / "c", {"height": GROUND}, ORIGIN, CELL, UTM)
    assert not np.isnan(open_dem(tmp_path / "c").read(DEM, GRID)).any()
    write_cube(tmp_path / "d", {"height": GROUND, "mask": GROUND}, ORIGIN, CELL, UTM)
    with pytest.raises(UserError, match=r"--arcticdem-dir: .* has height, mask; dem are needed"):
        open_dem(tmp_path / "d")


def test_cubes_that_cannot_be_laid_on_the_earth(tmp_path):
    group = zarr.open_group(tmp_path / "none", mode="w")
    add(group, "dem", GROUND, ("row", "column"), 3)
    with pytest.raises(UserError, match=r"no variable on \(y, x\)"):
        open_dem(tmp_path / "none")
    add(group, "dem2", GROUND, ("y", "x"), 3)
    with pytest.raises(UserError, match="no coordinate y"):
        open_dem(tmp_path / "none")
    add(group, "y", np.arange(60.0) ** 2, ("y",), 3)
    add(group, "x", np.arange(60.0), ("x",), 3)
    with pytest.raises(UserError, match="coordinate y is not evenly spaced"):
        open_dem(tmp_path / "none")
    group["y"][...] = -np.arange(60.0)
    with pytest.raises(UserError, match="says no coordinate system"):
        open_dem(tmp_path / "none")
    group["dem2"].attrs["crs_wkt"] = CRS.from_user_input(UTM).to_wkt()
    assert open_dem(tmp_path / "none").source.grid.crs == UTM


def test_a_chunk_that_is_damaged_and_a_cube_that_is_none(tmp_path):
    cube(tmp_path / "c")
    chunk = next(file for file in (tmp_path / "c" / "dem" / "c").rglob("*") if file.is_file())
    chunk.write_bytes(b"rubbish")
    with pytest.raises(UserError, match="cannot be read as a zarr cube"):
        open_dem(tmp_path / "c").read(DEM, GRID)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "zarr.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read as a zarr cube"):
        open_dem(tmp_path / "bad")
    for name in ("snapshots", "refs"):
        (tmp_path / "ice" / name).mkdir(parents=True)
    with pytest.raises(UserError, match="icechunk repository; export it"):
        open_dem(tmp_path / "ice")


def test_a_chunk_written_anew_changes_a_stamp(tmp_path):
    files = open_dem(cube(tmp_path / "c")).files
    before = [file.stat().st_mtime_ns for file in files]
    zarr.open_group(tmp_path / "c", mode="r+")["dem"][0, 0] = 5.0
    assert [file.stat().st_mtime_ns for file in files] != before


def test_a_source_in_degrees_across_the_antimeridian(tmp_path):
    """Two tiles, one on each side; a scene in metres over both of them."""
    cell, values = 0.0005, np.full((400, 400), 7.0, np.float32)
    for name, west in (("e", 180 - 400 * cell), ("w", -180.0)):
        write_raster(tmp_path / f"{name}.tif", values, origin=(west, 71.1), cell=cell, crs="EPSG:4326")
    dem = open_dem(tmp_path)
    from rasterio.warp import transform

    (x,), (y,) = transform("EPSG:4326", "EPSG:32601", [-180.0], [71.0])
    grid = Grid(300, 300, (10.0, 0.0, x - 1500, 0.0, -10.0, y + 1500), "EPSG:32601")
    assert dem.covers(grid) == pytest.approx(1, abs=1e-6)
    found = dem.read(DEM, grid)
    assert np.nanmax(np.abs(found - 7)) < 1e-4
    assert np.isnan(found).mean() < 0.01  # at most a pixel along the seam
    assert dem.covers(grid.window(Window(2000, 0, 300, 300))) == 0


def test_a_coarser_scene_sees_all_that_a_pixel_covers(tmp_path):
    """A chessboard of single pixels under pixels ten times as large is grey, wherever the window begins."""
    board = (np.indices((600, 600)).sum(axis=0) % 2).astype(np.float32)
    dem = open_dem(write_raster(tmp_path / "a.tif", board))
    grid = Grid(40, 40, (CELL * 10, 0.0, ORIGIN[0] + 100, 0.0, -CELL * 10, ORIGIN[1] - 100), UTM)
    found = dem.read(DEM, grid)[0]
    assert np.allclose(found, 0.5, atol=0.01)
    assert np.allclose(dem.read(DEM, grid.window(Window(7, 3, 9, 11)))[0], found[3:14, 7:16], atol=1e-4)


def test_an_address_that_is_busy_is_tried_again(tmp_path, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.05")
    write_raster(tmp_path / "dem.tif", GROUND)
    for status in (503, 429):
        with serve(tmp_path) as (site, address):
            site.trouble["/dem.tif"], site.status = 2, status
            found = open_dem(f"{address}/dem.tif").read(DEM, GRID)
            assert site.trouble["/dem.tif"] == 0
            assert np.array_equal(found[0], GROUND[10:50, 10:50])


def test_addresses_that_give_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "1")
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.01")
    with serve(tmp_path) as (site, address):
        site.trouble["/busy.tif"] = 99
        for name in ("absent.tif", "busy.tif"):
            with pytest.raises(UserError, match=f"{name}: cannot be read as a raster") as error:
                open_dem(f"{address}/{name}")
            assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="cannot be read as a raster"):
        open_dem(f"{address}/closed.tif")
    assert public_address("https://a/b.tif") == "https://a/b.tif"


def test_a_home_directory_and_a_missing_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_raster(tmp_path / "dem.tif", GROUND)
    assert open_dem("~/dem.tif").covers(GRID) == pytest.approx(1)
    with pytest.raises(UserError, match=r"--arcticdem-dir: .*none\.tif does not exist"):
        open_dem(tmp_path / "none.tif")


def test_bands_are_found_by_their_names(tmp_path):
    planes = np.arange(4 * 3600, dtype=np.float32).reshape(4, 60, 60)
    write_raster(tmp_path / "a.tif", planes, descriptions=("mask", "tc_wetness", "tc_brightness", "tc_greenness"))
    found = AuxiliaryRaster.open(tmp_path / "a.tif", TRENDS, "--tcvis-dir").read(TRENDS, GRID)
    assert np.allclose(found, planes[[2, 3, 1], 10:50, 10:50], atol=0.01)


@pytest.mark.parametrize("fill", [-9999.0, -32767.0, 32767.0, -3.4e38, np.inf])
def test_heights_that_no_land_has_are_gaps(tmp_path, fill):
    heights, gaps = GROUND.copy(), GROUND.copy()
    heights[20:24, 20:24], gaps[20:24, 20:24] = fill, np.nan
    filled = open_dem(write_raster(tmp_path / "filled.tif", heights)).read(DEM, GRID)
    expected = open_dem(write_raster(tmp_path / "gaps.tif", gaps)).read(DEM, GRID)
    assert np.isnan(expected).any()
    assert np.array_equal(filled, expected, equal_nan=True)


def test_trends_have_no_such_limits(tmp_path):
    path = write_raster(tmp_path / "trends.tif", np.full((3, 60, 60), -9999.0, np.float32))
    assert (AuxiliaryRaster.open(path, TRENDS, "--tcvis-dir").read(TRENDS, GRID) == -9999.0).all()
