"""Small maps as predict writes them, for the tests of what comes after."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

UTM = "EPSG:32608"


def write_raster(
    path: Path, values: np.ndarray, x=500000.0, y=7600000.0, crs=UTM, nodata=255, texts=None, **tags
) -> Path:
    """An array [h, w] or [b, h, w] as GeoTIFF, pixels of 10 m, its upper left corner at x, y; `crs` None: no place."""
    bands = values[None] if values.ndim == 2 else values
    path.parent.mkdir(parents=True, exist_ok=True)
    place = {"crs": crs, "transform": Affine(10, 0, x, 0, -10, y)} if crs else {}
    profile = {"driver": "GTiff", "count": len(bands), "height": bands.shape[1], "width": bands.shape[2]}
    with rasterio.open(path, "w", dtype=bands.dtype, nodata=nodata, **profile, **place) as dataset:
        dataset.write(bands)
        dataset.update_tags(**tags)
        for i, text in enumerate(texts or ()):
            dataset.set_band_description(i + 1, text)
    return path


def write_map(directory: Path, percent: np.ndarray, classes=None, names=("background", "slump"), **place) -> Path:
    """A map directory: percent uint8 [h, w] (255 no data) and its classes, above 50 where they are not given."""
    found = np.where(percent == 255, 255, percent > 50).astype(np.uint8) if classes is None else classes
    write_raster(directory / "probabilities.tif", percent, texts=["probability of slump, percent"], **place)
    tags = {f"class_{i}": name for i, name in enumerate(names)}
    write_raster(directory / "classes.tif", found, **place, **tags)
    return directory


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1) if dataset.count == 1 else dataset.read()
