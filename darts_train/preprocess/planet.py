"""Train data from PLANET scenes and a label repository: the command preprocess-planet-train-data."""

from pathlib import Path

from darts_train.base.errors import UserError
from darts_train.base.files import require_directory
from darts_train.options.preprocessing import Labelling, Output, Parallel, Patches, Planet, Terrain
from darts_train.preprocess.pipeline import run
from darts_train.preprocess.satellite import Candidate, Choices, check_choices, satellite_job
from darts_train.preprocess.summary import PreprocessSummary
from darts_train.scenes.planet import BANDS_OF_EIGHT, find_planet_scenes, open_planet_scene

COMMAND = "preprocess-planet-train-data"


def preprocess_planet_train_data(
    planet: Planet,
    output: Output,
    patches: Patches,
    terrain: Terrain,
    labelling: Labelling = Labelling(),
    parallel: Parallel = Parallel(),
) -> PreprocessSummary:
    """Cut PLANET scenes with their labels, elevation and trends into a train data directory.

    A scene without labels, labels without a scene, and a scene that cannot be read are reported, recorded as left out,
    and passed over. Called again with the same settings, it adds what is missing.

    Raises:
        UserError: before anything is written where an option contradicts another, a source is missing, or no scene is
            left.
    """
    choices = Choices(
        "PLANET", BANDS_OF_EIGHT, planet.bands, planet.optical_range, planet.mask_erosion_size, planet.labels_dir,
        output, patches, terrain, labelling, parallel,
    )  # fmt: skip
    stack = check_choices(choices)
    directories = find_planet_scenes(require_directory(planet.data_dir, "--data-dir"))
    if not directories:
        raise UserError(f"--data-dir: no directory below {planet.data_dir} is named like a PLANET image.")
    candidates = [_candidate(directory, planet.data_dir) for directory in directories]
    return run(satellite_job(candidates, choices, stack, COMMAND, planet))


def _candidate(directory: Path, root: Path) -> Candidate:
    name = directory.name
    return Candidate(name, name, directory, root, lambda rasters: open_planet_scene(directory, rasters))
