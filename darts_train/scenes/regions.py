"""The region of a scene: the administrative area that covers most of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.raster.grid import Grid
from darts_train.scenes.georeference import WGS84, reproject_geometries, scene_outline
from darts_train.scenes.polygons import read_polygons, vector_files
from darts_train.scenes.scene import NO_REGION

NAME_COLUMNS = ("shapeName", "name")  # of geoBoundaries, of Natural Earth
_log = logger("scenes")


@dataclass(frozen=True)
class Regions:
    """Areas in EPSG:4326 and their names, both [n]."""

    source: str
    areas: np.ndarray
    names: np.ndarray

    @classmethod
    def open(cls, path: Path, column: str | None = None) -> "Regions":
        """Read a vector file, or the one in a directory; of several, that of the second administrative level (ADM2).

        Raises UserError where the choice is not clear or no name column is there.
        """
        polygons = read_polygons(_choose(path), column or _name_column(_choose(path)))
        areas = polygons.geometries
        if polygons.crs is not None:
            areas = reproject_geometries(areas, polygons.crs, WGS84)
        return cls(polygons.source, areas, np.array([str(value) for value in polygons.values], object))

    def name_of(self, grid: Grid, scene_id: str) -> str:
        """Name of the region with the largest share of a scene; NO_REGION, with a warning, where there is none.

        Areas are compared in degrees, where every part of one scene is stretched alike. Of equal ones the first in the
        alphabet wins.
        """
        outline = scene_outline(grid)
        if outline is None:
            _log.warning("scene %s has no place on the earth: %s", scene_id, NO_REGION)
            return NO_REGION
        shares: dict[str, float] = {}
        for i in shapely.STRtree(self.areas).query(outline, predicate="intersects"):
            overlap = shapely.area(shapely.intersection(self.areas[i], outline))
            shares[self.names[i]] = shares.get(self.names[i], 0.0) + float(overlap)
        if not shares:
            _log.warning("scene %s lies in no region of %s: %s", scene_id, self.source, NO_REGION)
            return NO_REGION
        return min(shares, key=lambda name: (-shares[name], name))


def _choose(path: Path) -> Path:
    files = vector_files(path, "--admin-dir")
    second = [file for file in files if "ADM2" in file.stem.upper()]
    chosen = second if len(files) > 1 and second else files
    if len(chosen) > 1:
        raise UserError(f"--admin-dir: {path} holds {listing(file.name for file in chosen)}; name one of them.")
    return chosen[0]


def _name_column(path: Path) -> str:
    import pyogrio

    try:
        fields = [str(name) for name in pyogrio.read_info(path)["fields"]]
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(f"{path}: cannot be read as a vector file ({reason}).") from None
    for column in NAME_COLUMNS:
        if column in fields:
            return column
    raise UserError(f"{path}: no column {' or '.join(NAME_COLUMNS)}; give --region-column: {listing(fields, 12)}.")
