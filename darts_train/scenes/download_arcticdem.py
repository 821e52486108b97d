"""Elevation for an area as a local folder of tiles: the command download-arcticdem.

The mosaics of ArcticDEM are large COGs that a STAC API lists; of these only the windows under the tiles are read. What
is written are the pixels of the mosaic, not resampled.
"""

from collections.abc import Callable, Iterator

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.base.log import logger
from darts_train.options.downloading import RESOLUTIONS, ArcticDem, Area, Target
from darts_train.raster.grid import Grid
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary import DEM, open_source
from darts_train.scenes.auxiliary_remote import public_address
from darts_train.scenes.auxiliary_tiles import TileMosaic
from darts_train.scenes.auxiliary_warp import PixelSource
from darts_train.scenes.download_area import area_of, on_map, search_boxes
from darts_train.scenes.download_tiles import Content, DownloadSummary, Lattice, Strips, TileFolder
from darts_train.scenes.stac import search_items

NODATA = -9999.0
_ASSET = "dem"
_STRIP = 16 * 1024**2  # pixels read at once, 64 MB; the fewer strips, the fewer blocks of a COG are fetched twice
_log = logger("download")


def download_arcticdem(area: Area, target: Target, arctic_dem: ArcticDem) -> DownloadSummary:
    """Fill a folder with the tiles of an area, from which --arcticdem-dir reads.

    Tiles that are there are passed over, so a download that was stopped goes on. A dry run looks at the source, too.

    Raises:
        UserError: the area is not clear, the folder holds something else, the source cannot be reached or covers
            nothing of the area. Tiles written before stay.
    """
    if arctic_dem.resolution not in RESOLUTIONS:
        raise UserError(f"--resolution: {arctic_dem.resolution} is none of {', '.join(map(str, RESOLUTIONS))} m.")
    require_writable(target.target_dir, "--target-dir")
    polygons = area_of(area)
    source = _source(arctic_dem, polygons, area.area_margin)
    lattice = Lattice.of(source.grid, target.tile_size, source.address)
    content = Content(f"arcticdem_{lattice.pixel[0]:g}m", DEM, "float32", NODATA, source.address)
    folder = TileFolder(target.target_dir, lattice, content)
    candidates = lattice.tiles(on_map(polygons, lattice.crs, area.area_margin))
    tiles = [index for index in candidates if _holds(source, lattice.grid(index))]
    if not tiles:
        raise UserError(f"{source.address} covers nothing of the area.")
    if target.dry_run:
        return folder.dry_run(tiles, "--arcticdem-dir")
    return folder.fill(tiles, _reader(source), "--arcticdem-dir")


def collection(resolution: int) -> str:
    """Name of the STAC collection of a resolution in metres.

    >>> collection(10)
    'arcticdem-mosaics-v4.1-10m'
    """
    return f"arcticdem-mosaics-v4.1-{resolution}m"


def _source(options: ArcticDem, polygons: np.ndarray, margin: float) -> PixelSource:
    if options.source is not None:
        return open_source(options.source, DEM, "--source")
    addresses = _search(options.stac_url, collection(options.resolution), search_boxes(polygons, margin))
    _log.info("%s: %d items of %s", options.stac_url, len(addresses), collection(options.resolution))
    return TileMosaic.open(f"{options.stac_url}#{collection(options.resolution)}", addresses)


def _search(url: str, name: str, boxes: list[tuple[float, float, float, float]]) -> list[str]:
    """Addresses of the elevation of all items of a collection that touch one of the boxes, by item id."""
    found: dict[str, str] = {}
    for box in boxes:
        for item in search_items(url, collections=[name], bbox=box):
            if _ASSET in item.assets:
                found[item.id] = public_address(item.assets[_ASSET].href)
    if not found:
        raise UserError(f"{url}: no item of {name} with an asset {_ASSET} in the area.")
    return [found[key] for key in sorted(found)]


def _window(source: Grid, tile: Grid) -> Window:
    """The pixels of the source under a tile of its lattice."""
    assert source.transform is not None
    assert tile.transform is not None
    a, _, left, _, e, top = source.transform
    return Window(round((tile.transform[2] - left) / a), round((tile.transform[5] - top) / e), tile.width, tile.height)


def _holds(source: PixelSource, tile: Grid) -> bool:
    inside = _window(source.grid, tile).intersection(source.grid.extent)
    return bool(inside.width and inside.height and source.outlines(inside))


def _reader(source: PixelSource) -> Callable[[Grid], Strips]:
    band = source.labels.index(DEM[0]) if DEM[0] in source.labels else 0

    def read(grid: Grid) -> Iterator[np.ndarray]:
        whole = _window(source.grid, grid)
        rows = max(1, _STRIP // whole.width)
        for row in range(0, whole.height, rows):
            strip = Window(whole.x, whole.y + row, whole.width, min(rows, whole.height - row))
            inside = strip.intersection(source.grid.extent)
            values = np.full((1, strip.height, strip.width), np.nan, np.float32)
            if inside.width and inside.height:
                values[(slice(None), *inside.slices(strip))] = source.read([band], inside)
            yield values

    return read
