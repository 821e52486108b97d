"""The error atlas: the tiles with most wrong pixels over all scenes, as a picture, and as places for a GIS."""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.figures.error_atlas import AtlasTile, error_atlas
from darts_train.figures.sheet import stretched
from darts_train.inference.evaluating.counting import Scene, Tile
from darts_train.inference.evaluating.pairs import label_files
from darts_train.inference.evaluating.truth import raster_of
from darts_train.inference.map_files import RASTER_SUFFIXES
from darts_train.raster.band import IGNORE_INDEX
from darts_train.raster.grid import grid_differences
from darts_train.raster.patches import Window
from darts_train.scenes.georeference import window_geometries
from darts_train.scenes.raster_file import RasterFile

PICTURE, TABLE, PLACES = "atlas.png", "atlas.parquet", "atlas.geojson"
_log = logger("inference")


def open_images(
    scenes: Sequence[Scene], images: Sequence[Path] | None, names: Sequence[str] | None
) -> dict[str, "Image"]:
    """The image of each scene, by the scene's name; the name of the map, or of the pair, is its stem.

    Raises UserError where none belongs to any scene, or one lies on other pixels than its map.
    """
    if images is None:
        return {}
    files = {file.stem: file for file in label_files(images, "--images") if file.suffix.lower() in _IMAGES}
    found: dict[str, Image] = {}
    for scene in scenes:
        path = files.get(scene.prediction.name, files.get(scene.name))
        if path is not None:
            found[scene.name] = Image.open(path, scene, names)
    missing = [scene.name for scene in scenes if scene.name not in found]
    if not found:
        raise UserError(f"--images: none is named like a map ({listing(missing, 3)}); images: {listing(files, 3)}.")
    if missing:
        _log.warning("no image of %s: their tiles are shown without", listing(missing, 3))
    return found


_IMAGES = (*RASTER_SUFFIXES, ".jpg", ".jpeg")


class Image:
    """An image on the pixels of a map, of which three bands are shown (or one, in grey)."""

    def __init__(self, file: RasterFile, bands: Sequence[int]) -> None:
        self.file, self.bands = file, tuple(bands)

    @classmethod
    def open(cls, path: Path, scene: Scene, names: Sequence[str] | None) -> "Image":
        """Open the image of a scene; UserError where it lies on other pixels."""
        file = RasterFile.open(path)
        differences = grid_differences(file.grid, raster_of(scene.prediction).grid)
        if differences:
            raise UserError(f"--images: {path} does not lie on the map {scene.name}: {'; '.join(differences)}.")
        told = [str(name).lower() for name in (names or file.descriptions)]
        wanted = [told.index(name) for name in ("red", "green", "blue") if name in told]
        usable = [band for band in wanted if band < len(file.indexes)]
        several = list(range(3)) if len(file.indexes) >= 3 else [0]
        return cls(file, usable if len(usable) == 3 else several)

    def picture(self, window: Window) -> NDArray[np.float64]:
        """Float [h, w, 3] in 0…1 of a window, stretched to its own brightness."""
        values, valid = self.file.read(self.bands, window)
        pixels = np.where(valid, values.astype(np.float32), np.float32(np.nan))
        return stretched(pixels, together=True) / 255.0


def write_atlas(
    directory: Path,
    tiles: Sequence[Tile],
    scenes: Mapping[str, Scene],
    images: Mapping[str, Image],
    classes: Sequence[str],
) -> None:
    """Write atlas.png, atlas.parquet and atlas.geojson: tiles in the order given, the worst first."""
    shown = [_shown(i, tile, scenes[tile.scene], images.get(tile.scene)) for i, tile in enumerate(tiles, start=1)]
    if shown:
        (directory / PICTURE).write_bytes(error_atlas(shown, classes, IGNORE_INDEX))
    rows = [_row(i, tile, scenes[tile.scene]) for i, tile in enumerate(tiles, start=1)]
    outlines = [_outline(tile, scenes[tile.scene]) for tile in tiles]
    columns = {name: [row[name] for row in rows] for name in _COLUMNS}
    frame = gpd.GeoDataFrame(columns, geometry=outlines, crs="EPSG:4326")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame.to_parquet(directory / TABLE, index=False)
    features = [
        {"type": "Feature", "properties": row, "geometry": shapely.geometry.mapping(shape) if shape else None}
        for row, shape in zip(rows, outlines, strict=True)
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features}, indent=1)
    (directory / PLACES).write_text(text + "\n", encoding="utf-8")


_COLUMNS = ("rank", "scene", "region", "x", "y", "width", "height", "wrong", "labelled", "tp", "fp", "fn", "iou")


def _inside(tile: Tile, scene: Scene) -> Window:
    return tile.window.intersection(scene.grid.extent)


def _row(rank: int, tile: Tile, scene: Scene) -> dict[str, Any]:
    """Place in pixels of the map, wrong and labelled pixels, and those of all foreground classes together."""
    window, counts = _inside(tile, scene), tile.counts
    place = {"x": window.x, "y": window.y, "width": window.width, "height": window.height}
    union = counts["wrong"] + counts["tp"]
    return {"rank": rank, "scene": tile.scene, "region": scene.region, **place, **counts, "iou": counts["tp"] / union}


def _outline(tile: Tile, scene: Scene) -> Any:
    outline = window_geometries(scene.grid, [_inside(tile, scene)])[0]
    return None if outline is None else shapely.from_wkb(outline)


def _shown(rank: int, tile: Tile, scene: Scene, image: Image | None) -> AtlasTile:
    window = _inside(tile, scene)
    _, target, _ = scene.read(window)
    predicted = scene.prediction.read(window, scene.threshold)
    share = tile.counts["wrong"] / tile.counts["labelled"]
    title = f"{rank}. {scene.name} x {window.x} y {window.y}: {tile.counts['wrong']} px wrong ({share:.0%})"
    return AtlasTile(None if image is None else image.picture(window), target, predicted, title)
