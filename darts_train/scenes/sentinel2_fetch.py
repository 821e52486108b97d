"""One Sentinel-2 scene of a STAC API, the part under a footprint, as a folder that `sentinel2.open_folder` reads.

<store>/<image id>/<item id>_SR.tif      counts as they were, with scale and offset in the file's tags
<store>/<image id>/<item id>_SCL.tif     scene classification, 20 m
<store>/<image id>/<item id>.json        the item

A folder appears by a rename when all of it is there. COGs are read by window, a strip at a time.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import Resampling
from rasterio.warp import transform_bounds
from rasterio.windows import Window as RasterioWindow

from darts_train.base.errors import UserError
from darts_train.base.files import fsync_directory, remove_tree, write_json
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary_remote import open_address, public_address
from darts_train.scenes.georeference import WGS84
from darts_train.scenes.raster_file import grid_of

_ASSETS = {  # names of the three large catalogues: CDSE, Earth Search, Planetary Computer
    "coastal": ("B01_20m", "coastal", "B01"), "blue": ("B02_10m", "blue", "B02"),
    "green": ("B03_10m", "green", "B03"), "red": ("B04_10m", "red", "B04"), "nir": ("B08_10m", "nir", "B08"),
    "rededge071": ("B05_20m", "rededge1", "B05"), "rededge075": ("B06_20m", "rededge2", "B06"),
    "rededge078": ("B07_20m", "rededge3", "B07"), "nir08": ("B8A_20m", "nir08", "B8A"),
    "nir09": ("B09_60m", "nir09", "B09"), "swir16": ("B11_20m", "swir16", "B11"),
    "swir22": ("B12_20m", "swir22", "B12"),
    "scl": ("SCL_20m", "scl", "SCL"),
}  # fmt: skip
_SCALE = 1e-4
_OFFSET = -0.1  # of products since processing baseline 04.00
_OFFSET_SINCE = "2022-01-25"
_SNAP = 6  # pixels of 10 m: windows begin and end on whole pixels of 60 m
_STRIP = 1020  # rows read at once, a multiple of _SNAP


def fetch_scene(item: Mapping[str, Any], bands: Sequence[str], footprint: Any, folder: Path) -> None:
    """Write the part of an item under a footprint (shapely, EPSG:4326) to a folder, which is replaced.

    Raises UserError where a band is not among the assets, or the network gives up.
    """
    addresses = {name: _address(item, name) for name in (*bands, "scl")}
    temporary = folder.with_name(f".{folder.name}.tmp")
    remove_tree(temporary)
    temporary.mkdir(parents=True)
    try:
        with open_address(addresses["blue" if "blue" in addresses else bands[0]]) as dataset:
            grid = grid_of(dataset)
        window = _window(grid, footprint, str(item["id"]))
        place = temporary / str(item["id"])
        lines = [scale_of(item, _asset(item, name)) for name in bands]
        _copy([addresses[name] for name in bands], grid, window, Path(f"{place}_SR.tif"), list(bands), lines)
        _copy([addresses["scl"]], grid, window, Path(f"{place}_SCL.tif"), ["scl"], [(1.0, 0.0)])
        write_json(Path(f"{place}.json"), dict(item))
        remove_tree(folder)
        temporary.rename(folder)
        fsync_directory(folder.parent)
    except OSError as error:
        raise UserError(f"{folder.parent}: cannot be written: {error.strerror or error}.") from None
    finally:
        remove_tree(temporary)


def scale_of(item: Mapping[str, Any], asset: Mapping[str, Any]) -> tuple[float, float]:
    """Value of one count and of count 0 of an asset.

    What the asset says counts, but for the offset where the catalogue says that it took it off already; else the
    offset of the processing baseline, else that of the date.
    """
    properties = item.get("properties") or {}
    stated = (asset.get("raster:bands") or asset.get("bands") or [{}])[0]
    scale = stated.get("scale", stated.get("raster:scale", asset.get("raster:scale", _SCALE)))
    offset = stated.get("offset", stated.get("raster:offset", asset.get("raster:offset")))
    if properties.get("earthsearch:boa_offset_applied"):
        offset = 0.0
    return float(scale), float(_offset_of(properties) if offset is None else offset)


def _offset_of(properties: Mapping[str, Any]) -> float:
    baseline = properties.get("s2:processing_baseline") or properties.get("processing:version")
    try:
        return _OFFSET if float(str(baseline)) >= 4 else 0.0
    except ValueError:
        return _OFFSET if str(properties.get("datetime", "")) >= _OFFSET_SINCE else 0.0


def _asset(item: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    assets = item.get("assets") or {}
    for key in _ASSETS[name]:
        if key in assets:
            return dict(assets[key])
    raise UserError(f"{item['id']}: no asset {' or '.join(_ASSETS[name])}; it has {', '.join(sorted(assets)[:20])}.")


def _address(item: Mapping[str, Any], name: str) -> str:
    return public_address(str(_asset(item, name)["href"]))


def _window(grid: Grid, footprint: Any, item_id: str) -> Window:
    """Pixels of the 10 m grid over a footprint, snapped outwards. UserError where they do not meet."""
    if grid.transform is None or grid.crs is None:
        raise UserError(f"{item_id}: its bands have no georeference.")
    a, _, left, _, e, top = grid.transform
    west, south, east, north = transform_bounds(WGS84, grid.crs, *footprint.bounds, densify_pts=21)
    x, right = _snapped((west - left) / a, (east - left) / a)
    y, bottom = _snapped((north - top) / e, (south - top) / e)
    window = Window(x, y, right - x, bottom - y).intersection(grid.extent)
    if not window.width or not window.height:
        raise UserError(f"{item_id}: does not meet the footprint.")
    return window


def _snapped(first: float, last: float) -> tuple[int, int]:
    return int(first // _SNAP) * _SNAP, -int(-last // _SNAP) * _SNAP


def _copy(
    addresses: Sequence[str], grid: Grid, window: Window, path: Path, names: list[str], lines: list[tuple[float, float]]
) -> None:
    """Copy a window, in pixels of the 10 m grid, of some files to one; all on the pixels of the finest of them."""
    with ExitStack() as stack:
        files = [stack.enter_context(open_address(address)) for address in addresses]
        factors = [grid.width // file.width for file in files]
        step = min(factors)
        place = grid.window(window)
        assert place.transform is not None
        a, b, c, d, e, f = place.transform
        profile = {
            "driver": "GTiff", "count": len(files), "dtype": files[0].dtypes[0], "nodata": 0, "crs": grid.crs,
            "width": window.width // step, "height": window.height // step, "compress": "deflate", "predictor": 2,
            "transform": rasterio.Affine(a * step, b, c, d, e * step, f), "tiled": True, "BIGTIFF": "IF_SAFER",
        }  # fmt: skip
        with rasterio.open(path, "w", **profile) as written:
            written.scales, written.offsets = zip(*lines, strict=True)
            for number, name in enumerate(names, start=1):
                written.set_band_description(number, name)
            for row in range(0, window.height, _STRIP):
                strip = Window(window.x, window.y + row, window.width, min(_STRIP, window.height - row))
                _copy_strip(files, factors, step, strip, row // step, written)


def _copy_strip(files: Sequence[Any], factors: Sequence[int], step: int, strip: Window, row: int, written: Any) -> None:
    shape = strip.height // step, strip.width // step
    for number, (file, factor) in enumerate(zip(files, factors, strict=True), start=1):
        there = RasterioWindow(*(value // factor for value in (strip.x, strip.y, strip.width, strip.height)))
        counts = file.read(1, window=there, out_shape=shape, resampling=Resampling.nearest)
        written.write(np.asarray(counts), number, window=RasterioWindow(0, row, shape[1], shape[0]))
