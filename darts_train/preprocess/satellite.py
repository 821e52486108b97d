"""What PLANET and Sentinel-2 have in common: scenes found in folders, labels found by image id, rasters under them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from darts_train.base.errors import UserError
from darts_train.base.files import require_writable
from darts_train.base.log import logger
from darts_train.dataset.schema import SceneRecord
from darts_train.dataset.set_config import SetConfig
from darts_train.features.known import COMPUTED, closest, index_of, require_sources, sources_of
from darts_train.features.names import check_clear, expand
from darts_train.features.stack import FeatureStack
from darts_train.options.fields import OptionGroup
from darts_train.options.preprocessing import Labelling, Output, Parallel, Patches, Terrain
from darts_train.preprocess.checks import check_classes, check_size, check_usable
from darts_train.preprocess.job import Job, left_out, plain_settings
from darts_train.preprocess.measures import MEASURES, columns_of
from darts_train.preprocess.patching import Recipe, Sample
from darts_train.preprocess.set_bands import earlier_config, set_bands
from darts_train.raster.patches import patch_starts
from darts_train.scenes.auxiliary import DEM, TRENDS, AuxiliaryRaster, require_cover
from darts_train.scenes.georeference import WGS84, reproject_geometries
from darts_train.scenes.label_repository import LabelRepository, Matches, describe_matches
from darts_train.scenes.labels import PolygonLabels, polygons_on
from darts_train.scenes.polygons import LabelFilter, Polygons, class_indices, read_polygons
from darts_train.scenes.regions import Regions
from darts_train.scenes.satellite import SatelliteScene

_log = logger("preprocess")


@dataclass(frozen=True)
class Candidate:
    """A scene that was found and not opened yet.

    `scene_id` is its name in the set, `image_id` the one by which labels know it; `place` is its folder, and rows say
    paths below `root`; `label_file` finds its own labels, asked for where no repository is given.
    """

    scene_id: str
    image_id: str
    place: Path
    root: Path
    open: Callable[[Sequence[AuxiliaryRaster]], SatelliteScene]
    label_file: Callable[[], Path | None] = lambda: None

    def source(self, path: Path) -> str:
        """A path as the rows say it."""
        return path.relative_to(self.root).as_posix()


@dataclass(frozen=True)
class Choices:
    """The options of one command, and the bands that its sensor has."""

    sensor: str
    sensor_bands: tuple[str, ...]
    bands: tuple[str, ...]
    optical_range: str | None
    mask_erosion_size: int
    labels_dir: Path | None
    output: Output
    patches: Patches
    terrain: Terrain
    labelling: Labelling
    parallel: Parallel


@dataclass(frozen=True)
class _Sources:
    """What the scenes are put together from."""

    auxiliaries: tuple[AuxiliaryRaster, ...]
    regions: Regions | None
    repository: LabelRepository | None
    matches: Matches


def check_choices(choices: Choices) -> FeatureStack:
    """Everything that can be refused before a folder is looked into. Raises UserError."""
    patch_starts(choices.patches.patch_size, choices.patches.patch_size, choices.patches.shared)
    require_writable(choices.output.train_data_dir, "--train-data-dir")
    check_classes(choices.labelling.classes)
    LabelFilter.parse(choices.labelling.label_filter)
    check_clear(expand(choices.bands), ())
    stack = FeatureStack(expand(choices.bands), choices.terrain.tpi_outer_radius, choices.terrain.tpi_inner_radius)
    known = (*choices.sensor_bands, *DEM, *TRENDS, *COMPUTED)
    for name in stack.names:
        if name not in known and index_of(name) is None:
            raise UserError(
                f"--bands: {name} is no band of {choices.sensor} scenes; known are"
                f" {', '.join(known)} and the indices of spyndex and of the kelp catalogue{closest(name, known)}."
            )
    require_sources(stack.names, (*choices.sensor_bands, *DEM, *TRENDS), f"--bands, of {choices.sensor} scenes")
    return stack


def satellite_job(
    candidates: Sequence[Candidate], choices: Choices, stack: FeatureStack, command: str, *groups: OptionGroup
) -> Job:
    """Open scenes and labels, say what cannot be used, and put the job together; `groups` are what config.toml keeps.

    Raises UserError where a source is missing or no scene is left.
    """
    sources = _open_sources(choices, stack, [candidate.image_id for candidate in candidates])
    samples, records = _samples(candidates, choices, sources, stack)
    records += _without_scene(sources, {candidate.image_id for candidate in candidates})
    check_usable(samples, records)
    scenes = [sample.scene for sample in samples]
    earlier = earlier_config(choices.output.train_data_dir, choices.output.overwrite)
    bands = set_bands(stack, scenes, earlier, choices.optical_range)
    config = SetConfig(
        bands=bands,
        patch_size=choices.patches.patch_size,
        classes=choices.labelling.classes,
        command=command,
        columns=columns_of(MEASURES),
        settings=plain_settings(*groups, choices.patches, choices.terrain, choices.labelling),
    )
    recipe = Recipe(stack, bands, choices.patches, choices.mask_erosion_size)
    return Job(samples, records, recipe, config, choices.output, choices.parallel)


def open_repository(choices: Choices) -> LabelRepository:
    """The labels of --labels-dir, which must be given. UserError where they cannot be read."""
    assert choices.labels_dir is not None
    labelling = choices.labelling
    chosen = LabelFilter.parse(labelling.label_filter)
    return LabelRepository.open(choices.labels_dir, labelling.image_id_column, labelling.class_column, chosen)


def _open_sources(choices: Choices, stack: FeatureStack, image_ids: Sequence[str]) -> _Sources:
    """Open everything that all scenes share. UserError where a band needs what was not given."""
    terrain, labelling = choices.terrain, choices.labelling
    made_of = sources_of(stack.names, (*choices.sensor_bands, *DEM, *TRENDS))
    wanted = (
        (terrain.arcticdem_dir, DEM, "--arcticdem-dir", [name for name in stack.names if DEM[0] in made_of[name]]),
        (terrain.tcvis_dir, TRENDS, "--tcvis-dir", [name for name in stack.names if name in TRENDS]),
    )
    auxiliaries = tuple(raster for raster in (_auxiliary(*one) for one in wanted) if raster is not None)
    regions = None if labelling.admin_dir is None else Regions.open(labelling.admin_dir, labelling.region_column)
    if choices.labels_dir is None:
        return _Sources(auxiliaries, regions, None, Matches({}, {}, ()))
    repository = open_repository(choices)
    matches = repository.match(image_ids)
    for line in describe_matches(repository, matches):
        _log.warning("%s", line)
    return _Sources(auxiliaries, regions, repository, matches)


def _auxiliary(place: str | None, names: tuple[str, ...], option: str, wanted: Sequence[str]) -> AuxiliaryRaster | None:
    """The raster behind some bands; None, and not even opened, where none of them is wanted."""
    if not wanted:
        return None
    if place is None:
        raise UserError(f"{option} is needed for band {wanted[0]}; give it, or leave the band out of --bands.")
    return AuxiliaryRaster.open(place, names, option)


def _samples(
    candidates: Iterable[Candidate], choices: Choices, sources: _Sources, stack: FeatureStack
) -> tuple[list[Sample], list[SceneRecord]]:
    """Scenes that can be used, and records of the others with the reason."""
    samples: dict[str, Sample] = {}
    records = []
    for candidate in candidates:
        try:
            if candidate.scene_id in samples:
                raise UserError(f"the same image as {samples[candidate.scene_id].source}")
            samples[candidate.scene_id] = _sample(candidate, choices, sources, stack)
        except UserError as error:
            records.append(left_out(candidate.scene_id, str(error).rstrip("."), candidate.source(candidate.place)))
    return list(samples.values()), records


def _sample(candidate: Candidate, choices: Choices, sources: _Sources, stack: FeatureStack) -> Sample:
    scene = candidate.open(sources.auxiliaries)
    stack.bands_for(scene)
    check_size(scene, choices.patches)
    require_cover(scene.scene_id, scene.grid, scene.auxiliaries)
    labels, label_files = _labels(candidate, scene, choices, sources)
    if sources.regions is not None:
        scene = replace(scene, region=sources.regions.name_of(scene.grid, scene.scene_id))
    files = [*(file.path for file in scene.files), *label_files]
    files += [file for raster in scene.auxiliaries for file in raster.files_of(scene.grid, stack.halo(scene))]
    return Sample(scene, labels, candidate.source(Path(scene.source)), tuple(files))


def _labels(
    candidate: Candidate, scene: SatelliteScene, choices: Choices, sources: _Sources
) -> tuple[PolygonLabels, Sequence[Path]]:
    """Polygons and labelled extent of a scene, in its coordinates, and their files. UserError where it has neither."""
    if sources.repository is None:
        own = candidate.label_file()
        if own is None:
            raise UserError("no labels")
        polygons, footprint = _own_polygons(own, choices.labelling), None
        files: Sequence[Path] = (own,)
    else:
        polygons = sources.repository.of_image(candidate.image_id, sources.matches)
        footprint = sources.repository.footprints.get(candidate.image_id)
        files = sources.repository.files
        if footprint is None and not len(polygons.geometries):
            raise UserError("no labels")
    if scene.grid.crs is None:
        raise UserError("the image has no coordinate reference system")
    geometries = polygons_on(scene.grid, polygons.geometries, polygons.crs, polygons.source)
    classes = class_indices(polygons, choices.labelling.classes, choices.labelling.class_column)
    extent = None
    if footprint is not None and choices.labelling.footprint_extent:
        extent = reproject_geometries(np.array([footprint], object), WGS84, scene.grid.crs)[0]
    elif footprint is None and sources.repository is not None and choices.labelling.footprint_extent:
        _log.warning("%s: no footprint; all of the image counts as labelled", scene.scene_id)
    return PolygonLabels(scene.grid, geometries, classes, extent), files


def _own_polygons(path: Path, labelling: Labelling) -> Polygons:
    """The polygons of a scene's own file."""
    polygons = read_polygons(path, None, labelling.class_column, LabelFilter.parse(labelling.label_filter))
    if polygons.mended or polygons.dropped:
        _log.warning("%s: %d invalid polygons mended, %d empty left out", path, polygons.mended, polygons.dropped)
    return polygons


def _without_scene(sources: _Sources, image_ids: set[str]) -> list[SceneRecord]:
    """Records of the images that have labels but no scene."""
    matches = sources.matches
    images = {**matches.exact, **matches.prefix, **{label: label for label in matches.unmatched}}
    missing = sorted(set(images.values()) - image_ids)
    return [left_out(image_id, "labels without a scene") for image_id in missing]
