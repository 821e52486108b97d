"""Train data from PLANET scenes and a label repository: the command preprocess-planet-train-data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.files import require_directory, require_writable
from darts_train.base.log import logger
from darts_train.dataset.schema import SceneRecord
from darts_train.dataset.set_config import SetConfig
from darts_train.features.known import COMPUTED, closest, index_of, needs_elevation, require_sources
from darts_train.features.stack import FeatureStack
from darts_train.options.preprocessing import Output, Patches, Planet, Terrain
from darts_train.preprocess.patching import Recipe, Sample
from darts_train.preprocess.pipeline import Job, check_usable, left_out, plain_settings, run
from darts_train.preprocess.set_bands import earlier_config, set_bands
from darts_train.preprocess.summary import PreprocessSummary
from darts_train.raster.patches import patch_starts
from darts_train.scenes.auxiliary import DEM, TRENDS, AuxiliaryRaster
from darts_train.scenes.georeference import WGS84, reproject_geometries
from darts_train.scenes.label_repository import LabelRepository, Matches, describe_matches
from darts_train.scenes.labels import PolygonLabels
from darts_train.scenes.planet import BANDS_OF_EIGHT, PlanetScene, find_planet_scenes, open_planet_scene
from darts_train.scenes.polygons import class_indices
from darts_train.scenes.regions import Regions

COMMAND = "preprocess-planet-train-data"
CLASSES = ("background", "positive")
_log = logger("preprocess")


@dataclass(frozen=True)
class _Sources:
    """What the scenes are put together from."""

    repository: LabelRepository
    matches: Matches
    dem: AuxiliaryRaster | None
    trends: AuxiliaryRaster | None
    regions: Regions | None
    stack: FeatureStack


def preprocess_planet_train_data(
    planet: Planet, output: Output, patches: Patches, terrain: Terrain
) -> PreprocessSummary:
    """Cut PLANET scenes with their labels, elevation and trends into a train data directory.

    A scene without labels, labels without a scene, and a scene that cannot be read are reported, recorded as left out,
    and passed over. Called again with the same settings, it adds what is missing.

    Raises:
        UserError: before anything is written where an option contradicts another, a source is missing, or no scene is
            left.
    """
    patch_starts(patches.patch_size, patches.patch_size, patches.overlap)  # overlap below patch size
    require_writable(output.train_data_dir, "--train-data-dir")
    stack = FeatureStack(planet.bands, terrain.tpi_outer_radius, terrain.tpi_inner_radius)
    directories = find_planet_scenes(require_directory(planet.data_dir, "--data-dir"))
    if not directories:
        raise UserError(f"--data-dir: no directory below {planet.data_dir} is named like a PLANET image.")
    sources = _open_sources(planet, stack, [directory.name for directory in directories])
    samples, records = _samples(planet.data_dir, directories, sources)
    records += _without_scene(sources, {directory.name for directory in directories})
    check_usable(samples, records)
    scenes = [sample.scene for sample in samples]
    bands = set_bands(stack, scenes, earlier_config(output.train_data_dir, output.overwrite))
    config = SetConfig(
        bands=bands,
        patch_size=patches.patch_size,
        classes=CLASSES,
        command=COMMAND,
        settings=plain_settings(planet, patches, terrain),
    )
    return run(Job(samples, records, Recipe(stack, bands, patches, planet.mask_erosion_size), config, output))


def _open_sources(planet: Planet, stack: FeatureStack, scene_ids: Sequence[str]) -> _Sources:
    """Open everything that all scenes share. UserError where a band needs what was not given."""
    known = (*BANDS_OF_EIGHT, *DEM, *TRENDS, *COMPUTED)
    for name in stack.names:
        if name not in known and index_of(name) is None:
            raise UserError(
                f"--bands: {name} is no band of PLANET scenes; known are {', '.join(known)} and the indices of spyndex"
                f"{closest(name, known)}."
            )
    require_sources(stack.names, (*BANDS_OF_EIGHT, *DEM, *TRENDS), "--bands, of PLANET scenes")
    of_terrain = [name for name in stack.names if needs_elevation(name)]
    of_trends = [name for name in stack.names if name in TRENDS]
    dem = _auxiliary(planet.arcticdem_dir, DEM, "--arcticdem-dir", of_terrain)
    trends = _auxiliary(planet.tcvis_dir, TRENDS, "--tcvis-dir", of_trends)
    repository = LabelRepository.open(planet.labels_dir)
    matches = repository.match(scene_ids)
    for line in describe_matches(repository, matches):
        _log.warning("%s", line)
    regions = None if planet.admin_dir is None else Regions.open(planet.admin_dir, planet.region_column)
    return _Sources(repository, matches, dem, trends, regions, stack)


def _auxiliary(path: Path | None, names: tuple[str, ...], option: str, wanted: Sequence[str]) -> AuxiliaryRaster | None:
    """The raster behind some bands; None, and not even opened, where none of them is wanted."""
    if not wanted:
        return None
    if path is None:
        raise UserError(f"{option} is needed for band {wanted[0]}; give it, or leave the band out of --bands.")
    return AuxiliaryRaster.open(path, names, option)


def _samples(root: Path, directories: Sequence[Path], sources: _Sources) -> tuple[list[Sample], list[SceneRecord]]:
    """Scenes that can be used, and records of the others with the reason."""
    samples: dict[str, Sample] = {}
    records = []
    for directory in directories:
        source = directory.relative_to(root).as_posix()
        try:
            if directory.name in samples:
                raise UserError(f"the same image as {samples[directory.name].source}")
            samples[directory.name] = _sample(directory, sources, root)
        except UserError as error:
            records.append(left_out(directory.name, str(error).rstrip("."), source))
    return list(samples.values()), records


def _sample(directory: Path, sources: _Sources, root: Path) -> Sample:
    scene = open_planet_scene(directory, sources.dem, sources.trends)
    sources.stack.bands_for(scene)
    labels = _labels(scene, sources)
    if sources.regions is not None:
        scene = replace(scene, region=sources.regions.name_of(scene.grid, scene.scene_id))
    files = [scene.image.file.path, scene.udm2.path, *sources.repository.files]
    files += [raster.file.path for raster in scene.auxiliaries]
    return Sample(scene, labels, Path(scene.source).relative_to(root).as_posix(), tuple(files))


def _labels(scene: PlanetScene, sources: _Sources) -> PolygonLabels:
    """Polygons and labelled extent of a scene, in its coordinates. UserError where it has neither."""
    polygons = sources.repository.of_image(scene.scene_id, sources.matches)
    footprint = sources.repository.footprints.get(scene.scene_id)
    if footprint is None and not len(polygons.geometries):
        raise UserError("no labels")
    if scene.grid.crs is None:
        raise UserError("the image has no coordinate reference system")
    geometries = reproject_geometries(polygons.geometries, WGS84, scene.grid.crs)
    extent = None
    if footprint is None:
        _log.warning("%s: no footprint; all of the image counts as labelled", scene.scene_id)
    else:
        extent = reproject_geometries(np.array([footprint], object), WGS84, scene.grid.crs)[0]
    return PolygonLabels(scene.grid, geometries, class_indices(polygons, CLASSES, None), extent)


def _without_scene(sources: _Sources, scene_ids: set[str]) -> list[SceneRecord]:
    """Records of the images that have labels but no directory."""
    matches = sources.matches
    images = {**matches.exact, **matches.prefix, **{label: label for label in matches.unmatched}}
    missing = sorted(set(images.values()) - scene_ids)
    return [left_out(image_id, "labels without a scene") for image_id in missing]
