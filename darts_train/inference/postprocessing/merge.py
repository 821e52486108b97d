"""Objects of neighbouring maps as one layer: what touches or overlaps across a border of scenes becomes one polygon."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from darts_train.base.errors import UserError
from darts_train.base.files import atomic_path
from darts_train.inference.map_files import MapFile
from darts_train.inference.postprocessing.segments import SEGMENTS
from darts_train.raster.grid import Grid
from darts_train.scenes.georeference import lies_on_earth, same_crs

MERGED, LAYER = "merged.gpkg", "merged"
NEAR = 0.01  # pixels within which polygons of one system touch: coordinates are rounded
NEAR_AFTER_WARP = 0.5  # and within which those do that came from another system


@dataclass(frozen=True)
class Merged:
    """The merged layer: how many objects it has, of how many, and how many of them lie in several maps."""

    path: Path
    objects: int
    pieces: int
    across: int


def check_mergeable(maps: Sequence[MapFile]) -> None:
    """Raise UserError where maps cannot lie on one layer, or their classes differ."""
    for one in maps:
        if one.grid.crs is None:
            raise UserError(f"--merge: {one.source} has no coordinate reference system, so it has no neighbours.")
        first = str(maps[0].grid.crs)
        if not same_crs(one.grid.crs, first) and not (lies_on_earth(one.grid.crs) and lies_on_earth(first)):
            raise UserError(
                f"--merge: no way leads from the coordinate system of {one.source} to that of {maps[0].source}."
            )
        if one.names != maps[0].names:
            ours, theirs = ",".join(one.names), ",".join(maps[0].names)
            raise UserError(f"--merge: {one.source} has the classes {ours}, {maps[0].source} has {theirs}.")


def merge_maps(maps: Sequence[MapFile], directories: Sequence[Path], target: Path) -> Merged:
    """Write one GeoPackage of the objects in the segments.gpkg of several map directories, in the system of the first.

    Columns: class_index, class, pixels (sum over the maps: what several saw counts for each), area_m2 (of the union, on
    the ground), mean_probability (weighted by pixels), max_probability, scenes (how many), scene_names. All polygons
    are in memory.
    """
    crs = str(maps[0].grid.crs)
    parts = [_segments(directory, one, crs) for directory, one in zip(directories, maps, strict=True)]
    pieces = pd.concat(parts, ignore_index=True)
    group = _groups(pieces) if len(pieces) else np.zeros(0, np.int64)
    rows = [_merged(pieces.iloc[members]) for members in _members(group)]
    frame = gpd.GeoDataFrame(pd.DataFrame(rows, columns=[*_COLUMNS, "geometry"]), geometry="geometry", crs=crs)
    frame = frame.astype({"class_index": "int32", "pixels": "int64", "scenes": "int32", "class": "str"})
    frame = frame.astype({"mean_probability": "float64", "max_probability": "float64", "area_m2": "float64"})
    with atomic_path(target) as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frame.to_file(temporary, driver="GPKG", layer=LAYER, engine="pyogrio", geometry_type="MultiPolygon")
    return Merged(target, len(frame), len(pieces), int((frame["scenes"] > 1).sum()))


_COLUMNS = (
    "class_index", "class", "pixels", "area_m2", "mean_probability", "max_probability", "scenes", "scene_names",
)  # fmt: skip


def _segments(directory: Path, one: MapFile, crs: str) -> gpd.GeoDataFrame:
    """The objects of a map in the common system, with its name and how near counts as touching, in map units."""
    frame = gpd.read_file(directory / SEGMENTS)
    warped = not same_crs(one.grid.crs, crs)
    if warped and len(frame):
        frame = frame.to_crs(crs)
    frame = frame.set_geometry(shapely.make_valid(np.asarray(frame.geometry.values, object)), crs=crs)
    pixel = _pixel_in(one.grid, crs) if warped else min(one.grid.pixel_size)
    return frame.assign(scene=one.name, near=pixel * (NEAR_AFTER_WARP if warped else NEAR))


def _pixel_in(grid: Grid, crs: str) -> float:
    """Side of the middle pixel of a grid in the units of another system."""
    column, row = grid.width // 2, grid.height // 2
    corner = [grid.position(column + i, row + j) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
    pixel = gpd.GeoSeries([shapely.Polygon(corner)], crs=grid.crs).to_crs(crs)
    return float(np.sqrt(pixel.area.iloc[0]))


def _groups(pieces: gpd.GeoDataFrame) -> np.ndarray:
    """A number for each piece, the same for all that are one object: joined through pieces of other maps."""
    shapes = np.asarray(pieces.geometry.values, object)
    tree = shapely.STRtree(shapes)
    one, other = tree.query(shapes, predicate="dwithin", distance=pieces["near"].to_numpy())
    scene, index = pieces["scene"].to_numpy(), pieces["class_index"].to_numpy()
    joined = (scene[one] != scene[other]) & (index[one] == index[other])
    edges = (np.ones(int(joined.sum()), bool), (one[joined], other[joined]))
    graph = coo_array(edges, shape=(len(pieces), len(pieces)))
    return np.asarray(connected_components(graph, directed=False)[1])


def _members(group: np.ndarray) -> list[np.ndarray]:
    if not len(group):
        return []
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _merged(pieces: pd.DataFrame) -> dict[str, Any]:
    """One row of the pieces of one object."""
    pixels = pieces["pixels"].to_numpy(np.int64)
    names = list(dict.fromkeys(pieces["scene"]))
    union = shapely.union_all(np.asarray(pieces["geometry"], object))
    polygons = [part for part in shapely.get_parts([union]) if part.geom_type == "Polygon"]
    mapped = shapely.area(np.asarray(pieces["geometry"], object)).sum()
    return {
        "class_index": int(pieces["class_index"].iloc[0]),
        "class": pieces["class"].iloc[0],
        "pixels": int(pixels.sum()),
        # What pieces measure on the ground, less what they share: the plane stretches both alike.
        "area_m2": float(pieces["area_m2"].to_numpy(np.float64).sum() * union.area / mapped),
        "mean_probability": float((pieces["mean_probability"].to_numpy(np.float64) * pixels).sum() / pixels.sum()),
        "max_probability": float(pieces["max_probability"].astype("float64").max()),
        "scenes": len(names),
        "scene_names": ",".join(names),
        "geometry": shapely.MultiPolygon(polygons),
    }
