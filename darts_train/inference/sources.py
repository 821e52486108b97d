"""Scenes to be mapped, and what the network sees of them: the same as in training, bit for bit.

An image is read as the train data were (scale, offset, names of bands, radii of the terrain), unless the options or the
file itself say otherwise. The pixels then go the way of `preprocess`: computed bands, no data where the quality is
invalid, and the codes of the train data, so quantisation is the same too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from darts_train.base.errors import UserError, listing
from darts_train.features.stack import COMPUTED, INDICES, FeatureStack
from darts_train.inference.backends import Backend, Codes
from darts_train.models.input_spec import InputSpecification
from darts_train.options.deploying import Predict
from darts_train.raster.encoding import encode
from darts_train.raster.patches import Window
from darts_train.scenes.auxiliary import DEM, TRENDS, AuxiliaryRaster
from darts_train.scenes.planet import open_planet_scene
from darts_train.scenes.raster_file import RasterFile
from darts_train.scenes.raster_scene import RasterScene
from darts_train.scenes.scene import INVALID, Scene


def feature_stack(backend: Backend) -> FeatureStack:
    """The bands of a model, with the radii that its train data were made with."""
    radii = {"outer_radius": "tpi_outer_radius", "inner_radius": "tpi_inner_radius"}
    known = {name: float(backend.source[key]) for name, key in radii.items() if key in backend.source}
    return FeatureStack(backend.spec.names, **known)


def open_scenes(predict: Predict, backend: Backend, stack: FeatureStack) -> list[Scene]:
    """All scenes of a call, each checked for the bands of the model.

    Raises UserError where one cannot be read or lacks a band, or two have the same id.
    """
    dem, trends = _auxiliaries(predict, stack)
    scenes: dict[str, Scene] = {}
    for path in predict.input:
        scene = _open(path, predict, backend.source, dem, trends)
        if scene.scene_id in scenes:
            raise UserError(f"--input: {path} has the id of {scenes[scene.scene_id].source}; map them apart.")
        try:
            stack.bands_for(scene)
        except UserError as error:
            needs = ", ".join(stack.names)
            raise UserError(f"{error} The model needs {needs}; --band-names says what a file's bands are.") from None
        scenes[scene.scene_id] = scene
    return list(scenes.values())


def _open(
    path: Path, predict: Predict, source: Mapping[str, Any], dem: AuxiliaryRaster | None, trends: AuxiliaryRaster | None
) -> Scene:
    if path.is_dir():
        return open_planet_scene(path, dem, trends)
    file = RasterFile.open(path)
    return RasterScene.open(
        path,
        predict.band_names or _trained_names(file, source),
        source.get("scale") if predict.scale is None else predict.scale,
        source.get("offset") if predict.offset is None else predict.offset,
        _nodata(file, source) if predict.nodata is None else predict.nodata,
    )


def _trained_names(file: RasterFile, source: Mapping[str, Any]) -> list[str] | None:
    """The names given in training, for a file that says none and has as many bands; else None."""
    names = source.get("band_names")
    said = any(file.descriptions)
    return names if names and not said and len(names) == len(file.indexes) else None


def _nodata(file: RasterFile, source: Mapping[str, Any]) -> float | None:
    """The count given in training, for a file that says none; else None, which is what the file says."""
    return source.get("nodata") if all(value is None for value in file.nodata) else None


def _auxiliaries(predict: Predict, stack: FeatureStack) -> tuple[AuxiliaryRaster | None, AuxiliaryRaster | None]:
    """Elevation and trends, opened where a band of the model needs them and a place is given."""
    terrain = [name for name in stack.names if name in (*DEM, *COMPUTED) and name not in INDICES]
    trends = [name for name in stack.names if name in TRENDS]
    opened = []
    for wanted, place, names, option in (
        (terrain, predict.arcticdem_dir, DEM, "--arcticdem-dir"),
        (trends, predict.tcvis_dir, TRENDS, "--tcvis-dir"),
    ):
        if wanted and place is None and any(path.is_dir() for path in predict.input):
            raise UserError(f"{option} is needed: the model sees {listing(wanted)}.")
        opened.append(AuxiliaryRaster.open(place, names, option) if wanted and place else None)
    return opened[0], opened[1]


@dataclass(frozen=True)
class SeenWindow:
    """What the network is given of a window.

    codes uint16 [c, h, w]; missing bool [h, w], where the scene's quality is invalid (beyond it, too) or no band has
    a value; clipped int64 [c], values of a band that no code could say.
    """

    codes: Codes
    missing: npt.NDArray[np.bool_]
    clipped: npt.NDArray[np.int64]


def see(scene: Scene, window: Window, stack: FeatureStack, spec: InputSpecification) -> SeenWindow:
    """Read, compute and encode a window. Raises UserError where a file cannot be read."""
    values = stack.compute(scene, window)
    invalid = scene.quality(window) == INVALID
    values[:, invalid] = np.nan
    codes, clipped = encode(values, spec.bands)
    return SeenWindow(codes, invalid | np.isnan(values).all(axis=0), clipped)
