"""download-arcticdem against a STAC API and COGs that the test serves itself."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.warp import transform

from darts_train.base.errors import UserError
from darts_train.cli.main import main
from darts_train.options.downloading import ArcticDem, Area, Target
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary import DEM, AuxiliaryRaster
from darts_train.scenes.download_arcticdem import collection, download_arcticdem
from tests.scenes.loopback import serve
from tests.support.geo import PLANET_ID, REPOSITORY, box, planet_scene, write_polygons, write_raster

POLAR, STEP = "EPSG:3413", 10.0
WEST, NORTH = -2_400_000.0, 400_000.0  # in the Mackenzie delta, nearly
SIZE, HALF, SHARED = 600, 300, 20
NAME = collection(10)


def heights():
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    ground = (50 + 0.05 * columns + 10 * np.sin(rows / 20)).astype(np.float32)
    ground[:128, :128] = -9999.0  # sea
    return ground


def corner_of(column, row):
    (lon,), (lat,) = transform(POLAR, "EPSG:4326", [WEST + column * STEP], [NORTH - row * STEP])
    return lon, lat


def area_of_pixels(column, row, width, height):
    """The box of longitudes and latitudes around some pixels: a little more than these."""
    points = [corner_of(column + i * width, row + j * height) for i in (0, 1) for j in (0, 1)]
    lon, lat = zip(*points, strict=True)
    return min(lon), min(lat), max(lon), max(lat)


@pytest.fixture
def catalogue(tmp_path, monkeypatch):
    """Four overlapping COGs behind a STAC API; the site and the address of the API."""
    monkeypatch.setenv("GDAL_HTTP_RETRY_DELAY", "0.05")
    monkeypatch.setattr("darts_train.scenes.stac._BACKOFF", 0.02)
    served, ground = tmp_path / "served", heights()
    with serve(served) as (site, address):
        items = []
        for row in (0, HALF):
            for column in (0, HALF):
                part = ground[row : row + HALF + SHARED, column : column + HALF + SHARED]
                place = (WEST + column * STEP, NORTH - row * STEP)
                name = f"{row}_{column}_10m_v4.1"
                write_raster(served / f"{name}_dem.tif", part, origin=place, cell=STEP, crs=POLAR, nodata=-9999.0,
                             tiled=True, blockxsize=128, blockysize=128)  # fmt: skip
                items.append(item(name, address, area_of_pixels(column, row, *part.shape[::-1])))
        site.answers["/api/"] = lambda _: landing(address)
        site.answers["/api/search"] = lambda body: found(items, json.loads(body))
        yield site, f"{address}/api/"


def item(name, address, bounds):
    return {
        "type": "Feature", "stac_version": "1.0.0", "stac_extensions": [], "id": name, "collection": NAME,
        "geometry": shapely.geometry.mapping(shapely.box(*bounds)), "bbox": list(bounds), "links": [],
        "properties": {"datetime": "2020-01-01T00:00:00Z"},
        "assets": {"dem": {"href": f"{address}/{name}_dem.tif"}, "mad": {"href": f"{address}/{name}_mad.tif"}},
    }  # fmt: skip


def landing(address):
    link = {"rel": "search", "type": "application/geo+json", "href": f"{address}/api/search", "method": "POST"}
    return {
        "type": "Catalog", "id": "test", "stac_version": "1.0.0", "description": "test",
        "conformsTo": ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"],
        "links": [{"rel": "self", "href": f"{address}/api/"}, {"rel": "root", "href": f"{address}/api/"}, link],
    }  # fmt: skip


def found(items, query):
    assert query["collections"] == [NAME]
    asked = shapely.box(*query["bbox"])
    return {
        "type": "FeatureCollection",
        "features": [one for one in items if shapely.intersects(asked, shapely.box(*one["bbox"]))],
        "links": [],
    }


def fetch(root, api, bounds=None, **changes):
    area = Area(bounds=bounds or area_of_pixels(200, 200, 200, 200), area_margin=0.0)
    given = {"tile_size": 128, "dry_run": False, **changes}
    options = ArcticDem(resolution=10, stac_url=api, source=given.pop("source", None))
    return download_arcticdem(area, Target(target_dir=root, **given), options)


def pixels(root):
    """What --arcticdem-dir reads from a folder on the pixels of the whole, and which of them are there."""
    grid = Grid(SIZE, SIZE, (STEP, 0.0, WEST, 0.0, -STEP, NORTH), POLAR)
    return AuxiliaryRaster.open(root, DEM, "--arcticdem-dir").read(DEM, grid)[0]


def test_what_is_read_from_the_folder_is_what_the_mosaic_holds(catalogue, tmp_path):
    _, api = catalogue
    summary = fetch(tmp_path / "dem", api)
    values = pixels(tmp_path / "dem")
    inner = Window(200, 200, 200, 200).slices(Window(0, 0, SIZE, SIZE))
    assert np.array_equal(values[inner], heights()[inner])
    assert summary.written == len(list((tmp_path / "dem").glob("*.tif"))) >= 4
    assert f"--arcticdem-dir {tmp_path / 'dem'}" in summary.summary()
    with rasterio.open(next((tmp_path / "dem").glob("arcticdem_10m_*.tif"))) as tile:
        assert (tile.dtypes, tile.nodata, tile.descriptions) == (("float32",), -9999.0, ("dem",))
        assert tile.transform.c % (128 * STEP) == 0


def test_a_second_call_fetches_nothing_and_a_larger_area_only_the_rest(catalogue, tmp_path):
    _, api = catalogue
    first = fetch(tmp_path / "dem", api)
    stamps = {file: file.stat().st_mtime_ns for file in (tmp_path / "dem").glob("*.tif")}
    again = fetch(tmp_path / "dem", api)
    assert (again.written, again.present, again.tiles) == (0, first.tiles, first.tiles)
    larger = fetch(tmp_path / "dem", api, area_of_pixels(180, 180, 380, 380))
    assert larger.tiles > first.tiles
    assert larger.present == first.tiles
    assert {file: file.stat().st_mtime_ns for file in stamps} == stamps


def test_tiles_without_data_are_remembered_and_not_fetched_again(catalogue, tmp_path):
    """128 pixels of sea in the corner, in tiles of 64; what lies beyond the mosaic is no tile of it."""
    _, api = catalogue
    bounds = area_of_pixels(0, 0, 200, 200)
    first = fetch(tmp_path / "dem", api, bounds, tile_size=64)
    assert first.empty >= 1
    again = fetch(tmp_path / "dem", api, bounds, tile_size=64)
    assert (again.written, again.empty, again.present) == (0, 0, first.tiles)
    assert np.isnan(pixels(tmp_path / "dem")[:120, :120]).all()


def test_a_tile_read_in_strips_is_the_same(catalogue, tmp_path, monkeypatch):
    _, api = catalogue
    fetch(tmp_path / "whole", api)
    monkeypatch.setattr("darts_train.scenes.download_arcticdem._STRIP", 50 * 128)
    fetch(tmp_path / "strips", api)
    assert np.array_equal(pixels(tmp_path / "strips"), pixels(tmp_path / "whole"), equal_nan=True)


def test_busy_servers_are_asked_again(catalogue, tmp_path):
    site, api = catalogue
    site.trouble["/api/search"] = 2
    for file in site.root.glob("*.tif"):
        site.trouble[f"/{file.name}"] = 2
    assert fetch(tmp_path / "dem", api).written >= 4
    assert not any(site.trouble.values())
    site.trouble["/api/"], site.status = 2, 429
    assert fetch(tmp_path / "other", api).written >= 4


def test_a_dry_run_writes_nothing(catalogue, tmp_path):
    _, api = catalogue
    would = fetch(tmp_path / "dem", api, dry_run=True)
    assert not (tmp_path / "dem").exists()
    done = fetch(tmp_path / "dem", api)
    assert (would.tiles, would.written) == (done.tiles, done.written + done.empty)
    assert would.bytes == would.written * 128 * 128 * 4
    assert "would be fetched, at most" in would.summary()


def test_one_cog_in_place_of_the_catalogue(catalogue, tmp_path):
    site, api = catalogue
    address = api.replace("/api/", "/0_0_10m_v4.1_dem.tif")
    bounds = area_of_pixels(150, 150, 100, 100)
    fetch(tmp_path / "dem", "", bounds, source=address)
    fetch(tmp_path / "file", "", bounds, source=str(site.root / "0_0_10m_v4.1_dem.tif"))
    inner = Window(150, 150, 100, 100).slices(Window(0, 0, SIZE, SIZE))
    assert np.array_equal(pixels(tmp_path / "dem")[inner], heights()[inner])
    assert np.array_equal(pixels(tmp_path / "file"), pixels(tmp_path / "dem"), equal_nan=True)
    with pytest.raises(UserError, match=r"holds other tiles: source .* choose another"):
        fetch(tmp_path / "dem", api, bounds)


KILLED = """
import sys
from pathlib import Path
import darts_train.scenes.download_arcticdem as room
from darts_train.options.downloading import ArcticDem, Area, Target
import os

real, count = room.TileFolder._write, [0]
def dies(self, index, strips):
    count[0] += 1
    if count[0] == 3:
        next(strips)
        (self.directory / ".half.tif.1.tmp").write_bytes(b"half")
        os._exit(9)
    return real(self, index, strips)
room.TileFolder._write = dies
bounds = tuple(map(float, sys.argv[3].split(",")))
room.download_arcticdem(Area(bounds=bounds, area_margin=0.0), Target(target_dir=Path(sys.argv[2]), tile_size=64),
                        ArcticDem(source=sys.argv[1]))
"""


def test_a_killed_download_goes_on(tmp_path):
    source = write_raster(tmp_path / "dem.tif", heights(), origin=(WEST, NORTH), cell=STEP, crs=POLAR, nodata=-9999.0)
    bounds = area_of_pixels(250, 250, 150, 150)
    text = ",".join(map(str, bounds))
    arguments = [sys.executable, "-c", KILLED, str(source), str(tmp_path / "dem"), text]
    done = subprocess.run(arguments, cwd=REPOSITORY, env=os.environ | {"PYTHONPATH": str(REPOSITORY)})
    assert done.returncode == 9
    assert len(list((tmp_path / "dem").glob("*.tif"))) == 2
    summary = fetch(tmp_path / "dem", "", bounds, source=str(source), tile_size=64)
    assert (summary.present, summary.written) == (2, summary.tiles - 2)
    assert not list((tmp_path / "dem").glob("*.tmp"))
    fetch(tmp_path / "whole", "", bounds, source=str(source), tile_size=64)
    for file in (tmp_path / "whole").glob("*.tif"):
        assert file.read_bytes() == (tmp_path / "dem" / file.name).read_bytes()


def test_area_of_a_file_and_of_scenes(tmp_path):
    scene = planet_scene(tmp_path / "data" / "x" / PLANET_ID)
    file = write_polygons(tmp_path / "area.gpkg", [box(0, 0, 512, 512)], image_id=["a"])
    assert scene.exists()
    (x,), (y,) = transform("EPSG:32608", POLAR, [510_750.0], [7_699_250.0])
    ground = np.full((400, 400), 5.0, np.float32)
    source = write_raster(tmp_path / "dem.tif", ground, origin=(x // 10 * 10 - 2000, y // 10 * 10 + 2000), cell=10.0,
                          crs=POLAR)  # fmt: skip
    sizes = set()
    for number, given in enumerate(({"area": file}, {"data_dir": tmp_path / "data"})):
        target = Target(target_dir=tmp_path / f"dem{number}", tile_size=64)
        summary = download_arcticdem(Area(area_margin=100.0, **given), target, ArcticDem(source=str(source)))
        sizes.add((summary.tiles, summary.written))
        from darts_train.scenes.planet import open_planet_scene

        dem = AuxiliaryRaster.open(target.target_dir, DEM, "--arcticdem-dir")
        assert dem.covers(open_planet_scene(scene).grid) == pytest.approx(1, abs=1e-6)
    assert len(sizes) == 1


def test_the_command(catalogue, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, api = catalogue
    text = ",".join(map(str, area_of_pixels(200, 200, 100, 100)))
    arguments = ["download-arcticdem", "--bounds", text, "--stac-url", api, "--resolution", "10", "--target-dir", "dem"]
    assert main([*arguments, "--tile-size", "128"]) == 0
    assert "read them with --arcticdem-dir dem" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "pystac_client", None)
    assert main(arguments) == 2
    errors = capsys.readouterr().err.splitlines()
    assert errors == ["darts: A STAC API needs pystac_client; install it with: pip install 'darts-train[stac]'"]


@pytest.mark.parametrize(
    ("area", "options", "message"),
    [
        ({}, {}, "Give --bounds"),
        ({"bounds": (1.0, 2.0, 3.0)}, {}, "--bounds: 1,2,3 is not west,south,east,north"),
        ({"bounds": (1.0, 70.0, 3.0, 69.0)}, {}, "no box of longitudes"),
        ({"bounds": (1.0, 70.0, 3.0, 71.0)}, {"resolution": 5}, "--resolution: 5 is none of 2, 10, 32"),
        ({"bounds": (1.0, 70.0, 3.0, 71.0)}, {"source": "none.tif"}, r"--source: none\.tif does not exist"),
        ({"bounds": (1.0, 70.0, 3.0, 71.0)}, {"stac_url": "http://127.0.0.1:9/"}, "--stac-url: .* no answer"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(tmp_path, monkeypatch, area, options, message):
    monkeypatch.setattr("darts_train.scenes.stac._RETRIES", 0)
    with pytest.raises(UserError, match=message):
        download_arcticdem(Area(**area), Target(target_dir=tmp_path / "dem"), ArcticDem(**options))
    assert not (tmp_path / "dem").exists()


def test_folders_of_others_and_areas_beyond(catalogue, tmp_path):
    site, api = catalogue
    with pytest.raises(UserError, match="no item of arcticdem-mosaics"):
        fetch(tmp_path / "dem", api, (100.0, 70.0, 101.0, 71.0))
    with pytest.raises(UserError, match="covers nothing of the area"):
        fetch(tmp_path / "dem", "", (100.0, 70.0, 101.0, 71.0), source=str(site.root / "0_0_10m_v4.1_dem.tif"))
    write_raster(tmp_path / "mine" / "a.tif", np.ones((4, 4), np.float32))
    with pytest.raises(UserError, match=r"holds a\.tif, not fetched by this command"):
        fetch(tmp_path / "mine", api)
    fetch(tmp_path / "dem", api)
    with pytest.raises(UserError, match="holds other tiles: tile_size 128 against 64"):
        fetch(tmp_path / "dem", api, tile_size=64)
    (tmp_path / "dem" / "tiles.json").write_text("{")
    with pytest.raises(UserError, match=r"tiles\.json cannot be read"):
        fetch(tmp_path / "dem", api)


def test_an_error_half_way_leaves_the_tiles_before_it(catalogue, tmp_path, monkeypatch):
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    site, api = catalogue
    broken = site.root / "300_300_10m_v4.1_dem.tif"
    content = broken.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"300_300.*cannot be read"):
        fetch(tmp_path / "dem", api, area_of_pixels(200, 200, 380, 380))
    there = list((tmp_path / "dem").glob("*.tif"))
    assert there
    for file in there:
        with rasterio.open(file) as tile:
            tile.read()
    assert not list((tmp_path / "dem").glob(".*.tmp"))
