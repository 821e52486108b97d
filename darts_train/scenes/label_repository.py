"""Polygons of many images, found by image id: the public thaw-slump label repository, or a file with such a column.

The repository keeps `*/TrainingLabel*.gpkg` (polygons) and `*/ImageFootprints*.gpkg` (what was labelled). Some of its
label ids lost their last characters, some footprints come twice: an id that is the beginning of exactly one image's id
is taken for it, with a warning, and the footprints of an image are united.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.scenes.georeference import WGS84, reproject_geometries
from darts_train.scenes.polygons import LabelFilter, Polygons, read_polygons, vector_files

ID_COLUMN = "image_id"
_LOST = 4  # characters that an id may have lost: a longer cut would match by chance
_log = logger("scenes")


@dataclass(frozen=True)
class Matches:
    """Label id → image id, by equality and by beginning, and the label ids that fit no image or several."""

    exact: dict[str, str]
    prefix: dict[str, str]
    unmatched: tuple[str, ...]


def match_ids(label_ids: Iterable[str], image_ids: Iterable[str]) -> Matches:
    """Find the image of each label id: the equal one, else the only one that begins with it and is little longer."""
    images = set(image_ids)
    exact, prefix, unmatched = {}, {}, []
    for label in sorted(set(label_ids)):
        longer = [image for image in images if image.startswith(label) and len(image) - len(label) <= _LOST]
        if label in images:
            exact[label] = label
        elif len(longer) == 1:
            prefix[label] = longer[0]
        else:
            unmatched.append(label)
    return Matches(exact, prefix, tuple(unmatched))


@dataclass(frozen=True)
class LabelRepository:
    """Label polygons in EPSG:4326 (`values` are their image ids), and the united footprint of images that have one."""

    polygons: Polygons
    footprints: dict[str, Any]
    files: tuple[Path, ...]

    @classmethod
    def open(
        cls,
        path: Path,
        id_column: str = ID_COLUMN,
        class_column: str | None = None,
        chosen: LabelFilter | None = None,
    ) -> "LabelRepository":
        """Read a repository, a vector file with a column of image ids, or a directory of such files.

        Raises UserError where there is none of these, or a file lacks a column.
        """
        labels, footprints = _find(path)
        polygons = _together([_in_wgs84(read_polygons(f, id_column, class_column, chosen)) for f in labels], str(path))
        if chosen is not None and not len(polygons.geometries):
            wanted = f"{chosen.column}={'|'.join(chosen.values)}"
            raise UserError(f"--label-filter: no polygon of {path} has {wanted}.")
        extents = _together([_in_wgs84(read_polygons(file, id_column)) for file in footprints], str(path))
        if polygons.mended or polygons.dropped:
            _log.warning(
                "%s: %d invalid polygons mended, %d empty ones left out", path, polygons.mended, polygons.dropped
            )
        return cls(polygons, _unite(extents), tuple(labels + footprints))

    def match(self, scene_ids: Iterable[str]) -> Matches:
        """Which image each label id belongs to; images are the scenes, and those that have a footprint."""
        return match_ids(self.polygons.values, {*scene_ids, *self.footprints})

    def count(self, label_ids: Iterable[str]) -> int:
        """Number of polygons with one of these ids."""
        return int(np.isin(self.polygons.values.astype(str), list(label_ids)).sum())

    def of_image(self, image_id: str, matches: Matches) -> Polygons:
        """The polygons of one image."""
        wanted = [label for label, image in (matches.exact | matches.prefix).items() if image == image_id]
        return self.polygons.where(np.isin(self.polygons.values.astype(str), wanted))


def _find(path: Path) -> tuple[list[Path], list[Path]]:
    if path.is_dir():
        labels, footprints = sorted(path.rglob("TrainingLabel*.gpkg")), sorted(path.rglob("ImageFootprints*.gpkg"))
        if labels:
            return labels, footprints
        if footprints:
            raise UserError(f"--labels-dir: {path} has {len(footprints)} footprint files and no TrainingLabel*.gpkg.")
    return vector_files(path, "--labels-dir"), []


def _in_wgs84(polygons: Polygons) -> Polygons:
    if polygons.crs is None:
        raise UserError(f"{polygons.source}: no coordinate reference system; images cannot be matched with it.")
    there = reproject_geometries(polygons.geometries, polygons.crs, WGS84)
    ids = np.array([str(value) for value in polygons.values], object)
    return Polygons(polygons.source, WGS84, there, ids, polygons.labels, polygons.mended, polygons.dropped)


def _together(parts: list[Polygons], source: str) -> Polygons:
    empty = np.empty(0, object)
    return Polygons(
        source,
        WGS84,
        np.concatenate([empty, *(part.geometries for part in parts)]),
        np.concatenate([empty, *(part.values for part in parts)]),
        np.concatenate([empty, *(part.labels for part in parts)]),
        sum(part.mended for part in parts),
        sum(part.dropped for part in parts),
    )


def _unite(extents: Polygons) -> dict[str, Any]:
    ids = dict.fromkeys(extents.values)
    return {image_id: shapely.union_all(extents.geometries[extents.values == image_id]) for image_id in ids}


def describe_matches(repository: LabelRepository, matches: Matches) -> list[str]:
    """What matching found, in lines for the log; empty where every id has an image of its own."""
    lines = []
    if matches.prefix:
        pairs = [f"{label} → {image}" for label, image in matches.prefix.items()]
        polygons = repository.count(matches.prefix)
        lines.append(
            f"{len(pairs)} label ids ({polygons} polygons) are the beginning of one image id: {listing(pairs, 3)}"
        )
    if matches.unmatched:
        polygons = repository.count(matches.unmatched)
        lines.append(
            f"{len(matches.unmatched)} label ids ({polygons} polygons) fit no image: {listing(matches.unmatched, 3)}"
        )
    return lines
