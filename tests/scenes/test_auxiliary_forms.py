"""One elevation through every form that --arcticdem-dir takes: the same pixels, whatever the form and the window."""

import pickle
import shutil

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.warp import transform

from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary import DEM, AuxiliaryRaster
from tests.scenes.cubes import write_cube
from tests.scenes.loopback import serve
from tests.support.geo import CELL, ORIGIN, UTM, write_raster

POLAR = "EPSG:3413"
SIZE, STEP = 640, 2.0
GRID = Grid(200, 180, (CELL, 0.0, ORIGIN[0] + 300, 0.0, -CELL, ORIGIN[1] - 250), UTM)
FORMS = ("file", "vrt", "tiles", "folder with a vrt", "zarr 2", "zarr 3", "zarr, south first", "http", "vsicurl")
SCALED = ("zarr 3, counts", "file, counts")
SHIFTS = {"zarr 3, counts": 1e-3, "file, counts": 1e-3}  # metres by which a value is rounded


def heights():
    """Rough ground, float32, with a hole; rounded to millimetres, so that counts can say it."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    ground = 150 + 40 * np.sin(rows / 37) * np.cos(columns / 29) + rng.normal(0, 0.5, (SIZE, SIZE))
    ground[300:310, 280:320] = np.nan
    return np.round(ground, 3).astype(np.float32)


def corner():
    (x,), (y,) = transform(UTM, POLAR, [ORIGIN[0] + 600], [ORIGIN[1] - 520])
    return round(x - SIZE * STEP / 2, 1), round(y + SIZE * STEP / 2, 1)


def write(path, values, column=0, row=0, nodata=-9999.0, **options):
    counts = np.where(np.isnan(values), nodata, values).astype(np.float32)
    x, y = corner()
    place = (x + column * STEP, y - row * STEP)
    return write_raster(path, counts, origin=place, cell=STEP, crs=POLAR, nodata=nodata, tiled=True, blockxsize=128,
                        blockysize=128, **options)  # fmt: skip


def write_tiles(root, values):
    """Tiles of 230 pixels that overlap by 30, in sub-folders, with other no data values each."""
    for row in range(0, SIZE, 200):
        for column in range(0, SIZE, 200):
            part = values[row : row + 230, column : column + 230]
            nodata = -9999.0 if (row + column) % 400 else -32767.0
            write(root / f"{row:04}" / f"{row:04}_{column:04}_2m_dem.tif", part, column, row, nodata)
    write(root / "0000" / "0000_0000_2m_count.tif", np.full((230, 230), 3.0))
    return root


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    root, values = tmp_path_factory.mktemp("forms"), heights()
    file = write(root / "dem.tif", values)
    write_tiles(root / "tiles", values)
    folder = root / "vrt" / "deep"
    folder.mkdir(parents=True)
    shutil.copy(file, folder / "dem.tif")
    rasterio.shutil.copy(str(file), str(root / "vrt" / "dem.vrt"), driver="VRT")
    counts = np.where(np.isnan(values), -2147483648, np.round(values.astype(float) / 0.001)).astype(np.int32)
    with rasterio.open(write_raster(root / "counts.tif", counts, origin=corner(), cell=STEP, crs=POLAR,
                                    nodata=-2147483648), "r+") as scaled:  # fmt: skip
        scaled.scales, scaled.offsets = [0.001], [0.0]
    packed = {"scale_factor": 0.001, "add_offset": 100.0, "_FillValue": -2147483648}
    moved = np.where(counts == -2147483648, counts, counts - 100_000)
    with serve(root) as (site, address):
        yield {
            "file": file,
            "vrt": root / "vrt" / "dem.vrt",
            "tiles": root / "tiles",
            "folder with a vrt": root / "vrt",
            "zarr 2": write_cube(root / "two.zarr", {"dem": values}, corner(), STEP, POLAR, fmt=2),
            "zarr 3": write_cube(root / "three.zarr", {"dem": values}, corner(), STEP, POLAR, layers=2),
            "zarr, south first": write_cube(root / "up.zarr", {"dem": values}, corner(), STEP, POLAR, ascending=True),
            "zarr 3, counts": write_cube(
                root / "c.zarr", {"dem": moved}, corner(), STEP, POLAR, attributes=packed, dtype="i4"
            ),
            "file, counts": root / "counts.tif",
            "http": f"{address}/dem.tif",
            "vsicurl": f"/vsicurl/{address}/dem.tif?token=a",
            "site": site,
        }


@pytest.fixture(scope="module")
def expected(forms):
    return AuxiliaryRaster.open(forms["file"], DEM, "--arcticdem-dir").read(DEM, GRID)


def same(found, wanted, off):
    assert np.array_equal(np.isnan(found), np.isnan(wanted))
    assert np.nanmax(np.abs(found - wanted)) <= off


@pytest.mark.parametrize("form", [*FORMS, *SCALED])
def test_every_form_gives_the_same_pixels(forms, expected, form):
    raster = pickle.loads(pickle.dumps(AuxiliaryRaster.open(forms[form], DEM, "--arcticdem-dir")))
    found = raster.read(DEM, GRID)
    assert found.dtype == np.float32
    assert 100 < np.nanmean(found) < 200
    assert 50 < np.isnan(found).sum() < 1000  # the hole
    same(found, expected, SHIFTS.get(form, 0.0))


@pytest.mark.parametrize("form", [*FORMS, *SCALED])
def test_pixels_do_not_depend_on_the_window(forms, expected, form):
    """Positions are off by 0.01 pixels of the source at most; the ground is rough by some metres per pixel."""
    raster = AuxiliaryRaster.open(forms[form], DEM, "--arcticdem-dir")
    for window in (Window(0, 0, 60, 50), Window(70, 90, 33, 64), Window(140, 20, 60, 160)):
        rows, columns = window.slices(GRID.extent)
        same(raster.read(DEM, GRID.window(window)), expected[:, rows, columns], 0.02 + SHIFTS.get(form, 0.0))


@pytest.mark.parametrize("form", FORMS)
def test_how_much_of_a_grid_is_covered(forms, form):
    raster = AuxiliaryRaster.open(forms[form], DEM, "--arcticdem-dir")
    assert raster.covers(GRID) == pytest.approx(1, abs=1e-6)
    assert raster.covers(GRID.window(Window(100_000, 0, 50, 50))) == 0
    assert np.isnan(raster.read(DEM, GRID.window(Window(100_000, 0, 50, 50)))).all()
    edge = GRID.window(Window(150, 0, 400, 200))
    share = (~np.isnan(raster.read(DEM, edge))).mean()
    assert 0.1 < share < 0.9
    assert raster.covers(edge) == pytest.approx(share, abs=0.01)
    assert raster.covers(Grid(10, 10)) == 0


@pytest.mark.parametrize("form", [*FORMS, *SCALED])
def test_files_are_those_that_decide_the_pixels(forms, form):
    raster = AuxiliaryRaster.open(forms[form], DEM, "--arcticdem-dir")
    if form in ("http", "vsicurl"):
        assert raster.files == ()
        return
    assert raster.files
    assert all(file.exists() for file in raster.files)
    if form == "tiles":
        assert len(raster.files) == 16
        assert 0 < len(raster.files_of(GRID.window(Window(0, 0, 20, 20)), 4)) <= 4
    if "vrt" in form:
        assert {file.name for file in raster.files} == {"dem.vrt", "dem.tif"}


def test_only_the_tiles_that_touch_are_opened(forms, tmp_path):
    shutil.copytree(forms["tiles"], tmp_path / "tiles")
    raster = AuxiliaryRaster.open(tmp_path / "tiles", DEM, "--arcticdem-dir")
    part = GRID.window(Window(0, 0, 20, 20))
    wanted, needed = raster.read(DEM, part), set(raster.files_of(part, 2))
    for file in raster.files:
        if file not in needed:
            file.unlink()
    assert np.array_equal(raster.read(DEM, part), wanted, equal_nan=True)


def test_only_the_window_is_fetched(forms):
    site = forms["site"]
    (site.root / "again.tif").write_bytes((site.root / "dem.tif").read_bytes())
    size = (site.root / "dem.tif").stat().st_size
    before = site.sent
    raster = AuxiliaryRaster.open(forms["http"].replace("dem.tif", "again.tif"), DEM, "--arcticdem-dir")
    raster.read(DEM, GRID.window(Window(0, 0, 20, 20)))
    assert 0 < site.sent - before < size / 2


def test_a_source_too_large_for_the_memory_is_read_in_pieces(forms, expected, monkeypatch):
    monkeypatch.setattr("darts_train.scenes.auxiliary_warp._LARGEST", 4000)
    raster = AuxiliaryRaster.open(forms["tiles"], DEM, "--arcticdem-dir")
    same(raster.read(DEM, GRID), expected, 0.02)
