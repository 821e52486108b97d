"""The scenes that a prediction is asked for, opened as training opened its own."""

import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from darts_train.base.errors import UserError, listing
from darts_train.base.log import logger
from darts_train.features.masking import rules_of
from darts_train.features.stack import DEM, FeatureStack
from darts_train.inference.models import MapModel
from darts_train.inference.places import scene_places
from darts_train.models.model_config import PICTURE_FIT
from darts_train.options.predicting import SceneFiles
from darts_train.raster.resampling import fitted_size
from darts_train.scenes.auxiliary import DEM as DEM_BANDS
from darts_train.scenes.auxiliary import TRENDS, AuxiliaryRaster
from darts_train.scenes.photos.file import open_picture
from darts_train.scenes.photos.fit import FittedScene, fitted_grid
from darts_train.scenes.planet import open_planet_scene, parse_planet_id
from darts_train.scenes.raster_scene import RasterScene
from darts_train.scenes.scene import Scene
from darts_train.scenes.sentinel2 import images_of, open_folder
from darts_train.scenes.sentinel2_safe import SAFE, open_product

OUTER_RADIUS = 100.0  # m, of models that do not say
LARGEST_SIDE = 2**24  # pixels: the earth at 2.4 m; what is larger is a damaged header
_log = logger("inference")


def feature_stack(model: MapModel) -> FeatureStack:
    """The bands of a model, computed as its train data were."""
    outer = float(model.source.get("tpi_outer_radius", OUTER_RADIUS))
    inner = float(model.source.get("tpi_inner_radius", 0.0))
    return FeatureStack(model.spec.names, outer, inner, rules_of(model.source))


def open_scenes(options: SceneFiles, model: MapModel, stack: FeatureStack, out_dir: Path | None = None) -> list[Scene]:
    """All scenes of a call, in order, checked: every band of the model can be read or computed.

    What lies in `out_dir` is no scene. Raises UserError for a file that is not there or unreadable, a band that is
    missing, a name that no map can have, and two scenes of one name.
    """
    given = (
        _auxiliary(options.arcticdem_dir, DEM_BANDS, "--arcticdem-dir"),
        _auxiliary(options.tcvis_dir, TRENDS, "--tcvis-dir"),
    )
    auxiliaries = [raster for raster in given if raster is not None]
    scenes: dict[str, Scene] = {}
    for path in scene_places(options.input, out_dir):
        _require_text(path)
        scene = _open(path, options, model, auxiliaries)
        _require_name(scene)
        _require_size(scene)
        if scene.scene_id in scenes:
            raise UserError(
                f"--input: {path} and {scenes[scene.scene_id].source} are both named {scene.scene_id}; "
                "their maps would be one."
            )
        stack.bands_for(scene)
        stack.warn_of_sun([scene])
        scenes[scene.scene_id] = scene
    _tell_fitted([scene for scene in scenes.values() if isinstance(scene, FittedScene)])
    return list(scenes.values())


def _tell_fitted(scenes: Sequence[FittedScene]) -> None:
    sizes = sorted({f"{scene.grid.width} x {scene.grid.height}" for scene in scenes})
    if sizes:
        what = scenes[0].source if len(scenes) == 1 else f"{len(scenes)} pictures"
        _log.info("%s: mapped in %s pixels, as the model's train data were resampled", what, listing(sizes))


def _require_text(path: Path) -> None:
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        raise UserError(f"--input: {str(path)!r} is no text in UTF-8; rename it.") from None


def _require_name(scene: Scene) -> None:
    """Maps lie in a directory of this name: not elsewhere, and SQLite opens no file below control characters."""
    name = scene.scene_id
    if name in ("", ".", "..") or any(unicodedata.category(character) == "Cc" for character in name):
        raise UserError(f"--input: {str(scene.source)!r}: no map can be named {name!r}; rename the file.")


def _require_size(scene: Scene) -> None:
    if max(scene.grid.width, scene.grid.height) > LARGEST_SIDE:
        raise UserError(
            f"{scene.source}: {scene.grid.width} x {scene.grid.height} pixels; a scene has at most {LARGEST_SIDE} to a"
            " side. Cut it into several."
        )


def _auxiliary(place: str | None, names: tuple[str, ...], option: str) -> AuxiliaryRaster | None:
    return None if place is None else AuxiliaryRaster.open(place, names, option)


def _open(path: Path, options: SceneFiles, model: MapModel, auxiliaries: Sequence[AuxiliaryRaster]) -> Scene:
    if path.is_dir():
        return _open_directory(path, auxiliaries)
    scale = _first(options.scale, model.source.get("scale"))
    offset = _first(options.offset, model.source.get("offset"))
    nodata = _first(options.nodata, model.source.get("nodata"))
    names = _names(path, options, model)
    scene = RasterScene.open(path, names, scale, offset, nodata, opener=open_picture)
    if model.source.get("float_steps"):  # scale and offset were those of codes, not of counts
        scene = scene.with_steps(scale, offset)
    scene = scene.as_stored(rules_of(model.source).marks)
    if model.source.get("zero_is_nodata"):
        scene = scene.without_zeros(model.spec.names)
    if DEM in model.spec.names and DEM not in scene.bands:
        raise UserError(f"{path}: the model needs elevation, which only scene directories take from --arcticdem-dir.")
    return _fitted(scene, model)


def _open_directory(path: Path, auxiliaries: Sequence[AuxiliaryRaster]) -> Scene:
    if path.suffix == SAFE:
        return open_product(path, auxiliaries)
    if parse_planet_id(path.name) is None and images_of(path):
        return open_folder(path, auxiliaries)
    return open_planet_scene(path, auxiliaries)


def _fitted(scene: RasterScene, model: MapModel) -> Scene:
    """The scene as training took its pictures: whole, in the size of a patch; itself where they were cut."""
    grid = scene.grid
    size = fitted_size(str(model.source.get(PICTURE_FIT, "tile")), grid.width, grid.height, model.patch_size)
    if size == (grid.width, grid.height):
        return scene
    return FittedScene(scene, fitted_grid(grid, *size))


def _names(path: Path, options: SceneFiles, model: MapModel) -> Sequence[str] | None:
    """Names of the file's bands: those given; the file's own where they hold all that was read in training; else
    those that training gave.
    """
    if options.band_names is not None:
        return options.band_names
    trained: list[str] | None = model.source.get("band_names")
    if not trained or set(trained) <= set(RasterScene.open(path, opener=open_picture).names):
        return None
    return trained


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
