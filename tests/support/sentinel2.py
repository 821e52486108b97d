"""Sentinel-2 scenes for tests, made from the bundled Sentinel-2 scene: folders, SAFE products, items of a STAC API."""

from pathlib import Path

import numpy as np
import rasterio
import shapely
from affine import Affine
from rasterio.warp import transform_bounds

from tests.support.geo import sample_pixels, write_raster

CELL = 10.0
ORIGIN = (509_980.0, 7_700_040.0)  # lower left corners of 60 m pixels, as the tiling of Sentinel-2 has them
UTM = "EPSG:32608"
SIZE = 480  # pixels of 10 m: whole ones of 20 m and 60 m, too
ID = "20210714T201612_20210714T201614_T08WNB"
PRODUCT = "S2A_MSIL2A_20210714T201612_N0301_R128_T08WNB_20210714T224501"
NAMES = ("blue", "green", "red", "nir", "swir16", "swir22")
_encoded: dict[tuple, bytes] = {}  # files by what they hold


def pixels(bands=4):
    """Counts uint16 [bands, SIZE, SIZE]: reflectance times 10,000, 0 where there is none."""
    return sample_pixels("sentinel2", bands)[:, :SIZE, :SIZE]


def classes(cell=20):
    """Scene classes uint8 on pixels of 20 m: vegetation, a cloud, a shadow, a defective corner."""
    size = SIZE * 10 // cell
    found = np.full((size, size), 4, np.uint8)
    found[20:40, 30:60] = 9
    found[60:70, 30:60] = 3
    found[:5, :5] = 1
    return found


def scene_folder(folder: Path, *, values=None, scl=True, name=ID, **options):
    """<folder>/<name>_SR.tif and _SCL.tif."""
    write_raster(folder / f"{name}_SR.tif", pixels() if values is None else values, origin=ORIGIN, cell=CELL, crs=UTM,
                 **options)  # fmt: skip
    if scl:
        write_raster(folder / f"{name}_SCL.tif", classes(), origin=ORIGIN, cell=20.0, crs=UTM)
    return folder


def safe_product(root: Path, *, name=PRODUCT, offset=None, level="2A", sun=(38.0, 181.5)):
    """An unpacked product of the six bands of the sample; swir bands of 20 m pixels, the others of 10 m."""
    safe = root / f"{name}.SAFE"
    image = safe / "GRANULE" / "L2A_T08WNB" / "IMG_DATA"
    counts = pixels(6) + np.uint16(0 if offset is None else -offset) * (pixels(6) > 0)
    for part, index, metres in (("B02", 0, 10), ("B03", 1, 10), ("B04", 2, 10), ("B08", 3, 10), ("B11", 4, 20),
                                ("B12", 5, 20)):  # fmt: skip
        step = metres // 10
        write_jp2(image / f"R{metres}m" / f"T08WNB_20210714T201612_{part}_{metres}m.jp2", counts[index, ::step, ::step],
                  float(metres))  # fmt: skip
    write_jp2(image / "R20m" / "T08WNB_20210714T201612_SCL_20m.jp2", classes(), 20.0)
    offsets = "" if offset is None else "".join(
        f'<BOA_ADD_OFFSET band_id="{i}">{offset}</BOA_ADD_OFFSET>' for i in range(13)
    )  # fmt: skip
    (safe / f"MTD_MSIL{level}.xml").write_text(
        f"<Product><BOA_QUANTIFICATION_VALUE unit='none'>10000</BOA_QUANTIFICATION_VALUE>{offsets}</Product>"
    )
    (image.parent / "MTD_TL.xml").write_text(
        f"<T><Mean_Sun_Angle><ZENITH_ANGLE unit='deg'>{90 - sun[0]}</ZENITH_ANGLE>"
        f"<AZIMUTH_ANGLE unit='deg'>{sun[1]}</AZIMUTH_ANGLE></Mean_Sun_Angle></T>"
    )
    return safe


def write_jp2(path: Path, values, cell):
    """A lossless JPEG 2000. What was written before is written again as it was: encoding takes a tenth of a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key = (values.tobytes(), values.shape, values.dtype.str, cell)
    if key in _encoded:
        path.write_bytes(_encoded[key])
        return path
    profile = {"driver": "JP2OpenJPEG", "width": values.shape[1], "height": values.shape[0], "count": 1,
               "dtype": values.dtype, "crs": UTM, "QUALITY": "100", "REVERSIBLE": "YES",
               "transform": Affine(cell, 0, ORIGIN[0], 0, -cell, ORIGIN[1])}  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(values, 1)
    _encoded[key] = path.read_bytes()
    return path


def footprint(column=60, row=60, width=300, height=240):
    """Outline in EPSG:4326 of some pixels."""
    left, top = ORIGIN[0] + column * CELL, ORIGIN[1] - row * CELL
    return shapely.box(*transform_bounds(UTM, "EPSG:4326", left, top - height * CELL, left + width * CELL, top))


def stac_item(name, served, address, *, cloud=0.0, day="2021-07-14", values=None, outline=None, **properties):
    """Write the COGs of an item below `served` and give the item."""
    counts = pixels() if values is None else values
    assets = {}
    for i, band in enumerate(("B02", "B03", "B04", "B08")):
        path = served / f"{name}_{band}.tif"
        write_raster(path, counts[i], origin=ORIGIN, cell=CELL, crs=UTM, nodata=0, tiled=True, blockxsize=128,
                     blockysize=128, compress="deflate")  # fmt: skip
        assets[f"{band}_10m"] = {"href": f"{address}/{path.name}"}
    path = write_raster(served / f"{name}_SCL.tif", classes(), origin=ORIGIN, cell=20.0, crs=UTM)
    assets["SCL_20m"] = {"href": f"{address}/{path.name}"}
    outline = footprint(0, 0, SIZE, SIZE) if outline is None else outline
    return {
        "type": "Feature", "stac_version": "1.0.0", "stac_extensions": [], "id": name, "collection": "sentinel-2-l2a",
        "geometry": shapely.geometry.mapping(outline), "bbox": list(outline.bounds), "links": [], "assets": assets,
        "properties": {"datetime": f"{day}T20:16:12Z", "eo:cloud_cover": cloud, "view:sun_azimuth": 181.5,
                       "view:sun_elevation": 38.0, **properties},
    }  # fmt: skip
