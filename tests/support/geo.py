"""Rasters, vectors and PLANET trees for tests, made from the bundled scenes."""

import json
import os
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine

import darts_train

REPOSITORY = Path(darts_train.__file__).parents[1]
SAMPLE = REPOSITORY / "darts_train" / "quickstart" / "scenes"
DATA = Path(os.environ.get("DARTS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))

PLANET_ID = "20210714_201612_1035"
ORTHOTILE_ID = "4691214_0470419_2021-07-14_2455"
ORIGIN = (510000.0, 7700000.0)
CELL = 3.0
UTM = "EPSG:32608"


def test_data(relative: str) -> Path:
    """A file of the shared data; the test is skipped, with the reason, where it is not there."""
    path = DATA / relative
    if not path.exists():
        pytest.skip(f"needs {relative} of the shared test data (DARTS_TEST_DATA)")
    return path


test_data.__test__ = False


def sample_pixels(name="landsat7", bands=4, size=512):
    """Counts uint16 [bands, size, size] of a bundled scene: blue, green, red, nir, swir16, swir22."""
    with rasterio.open(SAMPLE / f"{name}_toa6.tif") as file:
        return file.read(list(range(1, bands + 1)))[:, :size, :size]


def write_raster(path, values, *, origin=ORIGIN, cell=CELL, crs=UTM, nodata=None, descriptions=None, **options):
    """Write [bands, h, w] (or [h, w]) as GeoTIFF; `crs=None` and `origin=None`: no georeference."""
    values = values[None] if values.ndim == 2 else values
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": len(values), "height": values.shape[1], "width": values.shape[2]}
    if origin is not None:
        profile |= {"transform": Affine(cell, 0.0, origin[0], 0.0, -cell, origin[1]), "crs": crs}
    with rasterio.open(path, "w", dtype=values.dtype, nodata=nodata, **profile, **options) as file:
        file.write(values)
        for i, text in enumerate(descriptions or (), start=1):
            file.set_band_description(i, text)
    return path


def box(column, row, width, height, origin=ORIGIN, cell=CELL):
    """Polygon over pixels of a raster made by `write_raster`, in its coordinates."""
    x, y = origin[0] + column * cell, origin[1] - row * cell
    return shapely.box(x, y - height * cell, x + width * cell, y)


def write_polygons(path, polygons, crs=UTM, to="EPSG:4326", **columns):
    """Write polygons, given in `crs`, as a vector file in `to`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = geopandas.GeoDataFrame(columns, geometry=list(polygons), crs=crs)
    (frame.to_crs(to) if to else frame).to_file(path)
    return path


def udm2(size, unusable=(), cloud=()):
    """UDM2 bands uint8 [8, size, size]: all clear but the given slices (rows, columns)."""
    mask = np.zeros((8, size, size), np.uint8)
    mask[0] = 1
    for place in unusable:
        mask[0][place], mask[7][place] = 0, 1
    for place in cloud:
        mask[0][place], mask[5][place] = 0, 1
    return mask


def planet_scene(directory, *, pixels=None, mask=None, clip="", sun="properties"):
    """A PLANET image directory, named by its id, of the first four bands of a bundled scene."""
    pixels = sample_pixels() if pixels is None else pixels
    mask = udm2(pixels.shape[1]) if mask is None else mask
    name = directory.name
    write_raster(directory / f"{name}_3B_AnalyticMS_SR{clip}.tif", pixels, nodata=0)
    write_raster(directory / f"{name}_3B_udm2{clip}.tif", mask)
    angles = {"sun_azimuth": 181.5, "sun_elevation": 38.25}
    content = {"properties": angles} if sun == "properties" else angles
    (directory / f"{name}_metadata.json").write_text(json.dumps(content))
    return directory


def label_repository(root, labels, footprints):
    """A label repository of one iteration: lists of (image id, polygon in UTM)."""
    place = root / "TrainingLabel_RTS_PlanetScope_Nitze_iteration001"
    for stem, rows in (("TrainingLabel", labels), ("ImageFootprints", footprints)):
        if rows:
            ids, polygons = zip(*rows, strict=True)
            write_polygons(place / f"{stem}_RTS_PlanetScope_Nitze_iteration001.gpkg", polygons, image_id=list(ids))
    return root


def elevation(path, size=120, cell=20.0):
    """A polar-stereographic elevation model around the PLANET scenes: a plane with a hill."""
    from rasterio.warp import transform

    (x,), (y,) = transform(UTM, "EPSG:3413", [ORIGIN[0] + 256 * CELL], [ORIGIN[1] - 256 * CELL])
    rows, columns = np.mgrid[0:size, 0:size]
    heights = 120 + 0.8 * columns + 30 * np.exp(-((rows - size / 2) ** 2 + (columns - size / 2) ** 2) / 200)
    origin = (x - size / 2 * cell, y + size / 2 * cell)
    return write_raster(path, heights.astype(np.float32), origin=origin, cell=cell, crs="EPSG:3413", nodata=-9999.0)


def trends(path):
    """Three bands of trends, uint8, in degrees, around the PLANET scenes."""
    from rasterio.warp import transform

    (x,), (y,) = transform(UTM, "EPSG:4326", [ORIGIN[0]], [ORIGIN[1]])
    values = np.random.default_rng(0).integers(60, 200, (3, 120, 120)).astype(np.uint8)
    return write_raster(path, values, origin=(x - 0.02, y + 0.01), cell=0.0006, crs="EPSG:4326")
