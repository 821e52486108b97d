"""download-tcvis: the request, and the way of its answers, with a stand-in for Earth Engine's module."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from affine import Affine

from darts_train.base.errors import UserError
from darts_train.cli.main import main
from darts_train.options.downloading import Area, Target, Tcvis
from darts_train.raster.grid import Grid
from darts_train.scenes import download_tcvis as room
from darts_train.scenes.auxiliary import TRENDS, AuxiliaryRaster
from darts_train.scenes.download_tcvis import decode, download_tcvis, patiently, pixel_request

BOX = (-135.0, 69.0, -134.9, 69.05)
GRID = Grid(64, 48, (30.0, 0.0, -2_400_000.0, 0.0, -30.0, 400_000.0), "EPSG:3413")


def field(x, y):
    """Trends uint8 [3, …] that only the place decides."""
    return np.stack([(x / 30 + 7 * k + y / 60) % 251 + 1 for k in range(3)]).astype(np.uint8)


def geotiff(grid, values):
    profile = {"driver": "GTiff", "width": grid.width, "height": grid.height, "count": len(values)}
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile, dtype=values.dtype, crs=grid.crs, transform=Affine(*grid.transform)) as file:
            file.write(values)
        return memory.read()


class Expression:
    """Notes what is asked of an image."""

    def __init__(self, *steps):
        self.steps = steps

    def __getattr__(self, name):
        return lambda *given: Expression(*self.steps, (name, *given))


class EngineError(Exception):
    pass


@pytest.fixture
def engine(monkeypatch):
    """A stand-in for the module ee that answers requests from `field`; `errors` are raised before the answers."""
    state = SimpleNamespace(requests=[], errors=[], project=None)

    def compute(request):
        state.requests.append(request)
        if state.errors:
            raise EngineError(state.errors.pop(0))
        place, size = request["grid"]["affineTransform"], request["grid"]["dimensions"]
        x = place["translateX"] + place["scaleX"] * (np.arange(size["width"]) + 0.5)[None, :]
        y = place["translateY"] + place["scaleY"] * (np.arange(size["height"]) + 0.5)[:, None]
        order = [place["scaleX"], 0.0, place["translateX"], 0.0, place["scaleY"], place["translateY"]]
        return geotiff(Grid(size["width"], size["height"], tuple(order), request["grid"]["crsCode"]), field(x, y))

    ee = SimpleNamespace(
        Initialize=lambda project=None: setattr(state, "project", project),
        ImageCollection=lambda name: Expression(("ImageCollection", name)),
        EEException=EngineError,
        data=SimpleNamespace(computePixels=compute),
    )
    monkeypatch.setitem(sys.modules, "ee", ee)
    monkeypatch.setattr(room.time, "sleep", lambda _: None)
    return state


def test_the_request():
    image = room.trend_image(SimpleNamespace(ImageCollection=lambda name: Expression(("ImageCollection", name))))
    assert image.steps == (
        ("ImageCollection", "users/ingmarnitze/TCTrend_SR_2000-2019_TCVIS"),
        ("mosaic",),
        ("select", ["TCB_slope", "TCG_slope", "TCW_slope"], ["tc_brightness", "tc_greenness", "tc_wetness"]),
        ("unmask", 0),
        ("toUint8",),
    )
    assert pixel_request("image", GRID) == {
        "expression": "image",
        "fileFormat": "GEO_TIFF",
        "bandIds": ["tc_brightness", "tc_greenness", "tc_wetness"],
        "grid": {
            "dimensions": {"width": 64, "height": 48},
            "affineTransform": {
                "scaleX": 30.0, "shearX": 0.0, "translateX": -2_400_000.0,
                "shearY": 0.0, "scaleY": -30.0, "translateY": 400_000.0,
            },
            "crsCode": "EPSG:3413",
        },
    }  # fmt: skip


def test_a_folder_is_filled_and_read(engine, tmp_path):
    area, target = Area(bounds=BOX), Target(target_dir=tmp_path / "tc", tile_size=128)
    summary = download_tcvis(area, target, Tcvis(ee_project="mine"))
    assert engine.project == "mine"
    assert summary.written == len(engine.requests) == summary.tiles > 1
    raster = AuxiliaryRaster.open(tmp_path / "tc", TRENDS, "--tcvis-dir")
    grid = raster.source.grid
    inner = Grid(40, 40, (30.0, 0.0, grid.transform[2] + 100 * 30, 0.0, -30.0, grid.transform[5] - 20 * 30), grid.crs)
    xs = inner.transform[2] + 30 * (np.arange(40) + 0.5)[None, :]
    ys = inner.transform[5] - 30 * (np.arange(40) + 0.5)[:, None]
    assert np.array_equal(raster.read(TRENDS, inner), field(xs, ys).astype(np.float32))
    again = download_tcvis(area, target, Tcvis())
    assert (again.written, again.present) == (0, summary.tiles)
    assert len(engine.requests) == summary.tiles


def test_a_busy_earth_engine_is_asked_again_and_a_refusal_is_said(engine, tmp_path):
    engine.errors = ["429: Too Many Requests", "Computation timed out."]
    target = Target(target_dir=tmp_path / "tc", tile_size=256)
    tiles = download_tcvis(Area(bounds=BOX), target, Tcvis()).tiles
    assert len(engine.requests) == tiles + 2
    engine.errors = ["Image.load: asset not found"]
    with pytest.raises(UserError, match=r"Earth Engine: Image\.load: asset not found\. What was fetched stays"):
        download_tcvis(Area(bounds=BOX), Target(target_dir=tmp_path / "other"), Tcvis())


def test_patience_ends(monkeypatch):
    waits, calls = [], []
    monkeypatch.setattr(room.time, "sleep", waits.append)

    def busy():
        calls.append(1)
        raise EngineError("503 unavailable")

    with pytest.raises(UserError, match="503 unavailable"):
        patiently(busy, EngineError)
    assert waits == [1, 2, 4, 8, 16]
    assert len(calls) == 6


def test_answers_that_are_not_what_was_asked_for():
    assert decode(geotiff(GRID, np.ones((3, 48, 64), np.uint8)), GRID).shape == (3, 48, 64)
    for content in (b"", b"<html>", geotiff(GRID, np.ones((2, 48, 64), np.uint8))):
        with pytest.raises(UserError, match="Earth Engine's answer"):
            decode(content, GRID)


def test_a_dry_run_asks_nothing(engine, tmp_path):
    would = download_tcvis(Area(bounds=BOX), Target(target_dir=tmp_path / "tc", dry_run=True), Tcvis())
    assert would.bytes == would.tiles * 2560 * 2560 * 3
    assert engine.requests == []
    assert not (tmp_path / "tc").exists()


def test_not_installed_not_signed_in_and_too_large(engine, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["download-tcvis", "--bounds", "-135,69,-134,70", "--target-dir", "tc"]
    assert main([*arguments, "--tile-size", "5000"]) == 2
    assert "--tile-size: 5000 is more" in capsys.readouterr().err

    def refuse(project=None):
        raise EngineError("Please authorize access to your Earth Engine account\nby running …")

    monkeypatch.setattr(sys.modules["ee"], "Initialize", refuse)
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "earthengine authenticate" in line
    assert "--ee-project" in line
    monkeypatch.setitem(sys.modules, "ee", None)
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("pip install 'darts-train[gee]'")
    assert not (tmp_path / "tc").exists()
