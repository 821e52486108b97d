"""Labels on the pixels of a map: rasters as they are or brought there, polygons burnt; checked before any work."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.inference.evaluating.pairs import Pair
from darts_train.inference.map_files import MapFile
from darts_train.options.evaluating import LabelValues
from darts_train.raster.band import IGNORE_INDEX
from darts_train.scenes.aligned import align
from darts_train.scenes.class_values import parse_remap
from darts_train.scenes.labels import (
    Labels,
    PolygonLabels,
    RasterLabels,
    check_label_raster,
    label_differences,
    polygons_on,
)
from darts_train.scenes.polygons import VECTOR_SUFFIXES, LabelFilter, Polygons, class_indices, read_polygons
from darts_train.scenes.raster_file import RasterFile

_log = logger("inference")


def open_truth(pairs: Sequence[Pair], names: Sequence[str], values: LabelValues, bring: bool) -> list[Labels]:
    """The labels of every pair.

    Args:
        pairs: maps and files of labels.
        names: of the classes, the background first.
        values: what labels mean.
        bring: label rasters on other pixels are brought onto those of the map, which is said; else refused.

    Raises UserError where labels cannot be read, do not meet their map, or hold what stands for no class.
    """
    mapping = parse_remap(values.remap, len(names), values.remap_format)
    chosen = LabelFilter.parse(values.label_filter)
    extent = None if values.label_extent is None else read_polygons(values.label_extent)

    @cache
    def polygons(path: Path) -> tuple[Polygons, np.ndarray]:
        found = read_polygons(path, class_column=values.class_column, chosen=chosen)
        return found, class_indices(found, names, values.class_column)

    truths: list[Labels] = []
    for pair in pairs:
        if pair.label.suffix.lower() in VECTOR_SUFFIXES:
            truths.append(_burnt(pair, *polygons(pair.label), extent))
        else:
            truths.append(_raster(pair, mapping, values.remap is not None, bring))
    _check_values(truths, values, mapping, names)
    return truths


def _burnt(pair: Pair, found: Polygons, classes: np.ndarray, extent: Polygons | None) -> PolygonLabels:
    grid = pair.prediction.grid
    geometries = polygons_on(grid, found.geometries, found.crs, str(pair.label))
    labelled: Any = None
    if extent is not None:
        labelled = shapely.union_all(polygons_on(grid, extent.geometries, extent.crs, extent.source))
    return PolygonLabels(grid, geometries, classes, labelled)


def _raster(pair: Pair, mapping: Mapping[int, int], named: bool, bring: bool) -> RasterLabels:
    file, target = RasterFile.open(pair.label), raster_of(pair.prediction)
    differences = label_differences(target, file) if len(file.indexes) == 1 else []
    if bring and differences:
        _log.info("%s is brought onto the pixels of %s (%s)", file.path.name, pair.name, "; ".join(differences))
        file = align(file, target)
    elif differences and file.grid.transform is not None and target.grid.transform is not None:
        how = "give --align to bring it there by nearest neighbours"
        raise UserError(f"{file.path} does not lie on the map {target.path}: {'; '.join(differences)}; {how}.")
    check_label_raster(target, file)
    if not named and file.nodata[0] in mapping:
        _log.warning(
            "%s says that %g is no data, so it is ignored; name it in --remap to make it a class",
            file.path,
            file.nodata[0],
        )
    return RasterLabels(file, mapping, mapping_first=named)


def raster_of(one: MapFile) -> RasterFile:
    """The raster that says where a map lies."""
    file = one.classes or one.probabilities
    assert file is not None
    return file


def _check_values(
    truths: Sequence[Labels], values: LabelValues, mapping: Mapping[int, int], names: Sequence[str]
) -> None:
    """Raise UserError, with values and counts, where a raster holds what stands for no class; or say it is ignored."""
    totals: dict[float, int] = {}
    first: dict[float, Path] = {}
    for truth in truths:
        if not isinstance(truth, RasterLabels):
            continue
        for value, pixels in truth.census().items():
            if value == IGNORE_INDEX and values.remap is None:
                continue  # as sets of this program are labelled
            totals[value] = totals.get(value, 0) + pixels
            first.setdefault(value, truth.file.path)
    if not totals:
        return
    found = listing([f"{value:g} ({pixels} pixels)" for value, pixels in sorted(totals.items())])
    if values.unmapped == "ignore":
        _log.warning("label values without a class are ignored: %s", found)
        return
    where = first[min(first)]
    raise UserError(
        f"{where}: values that stand for none of the classes {', '.join(names)}: {found}.\n"
        f"Say with --remap what they mean (VALUE:INDEX, -100: ignore), or give --unmapped ignore."
    )
