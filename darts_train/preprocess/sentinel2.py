"""Train data from Sentinel-2 scenes: the command preprocess-s2-train-data."""

from pathlib import Path

from darts_train.base.errors import UserError
from darts_train.base.files import require_directory
from darts_train.features.known import require_sources
from darts_train.features.stack import FeatureStack
from darts_train.options.preprocessing import Labelling, Output, Parallel, Patches, Sentinel2, Stac, Terrain
from darts_train.preprocess.matching import fetch_matches
from darts_train.preprocess.pipeline import run
from darts_train.preprocess.satellite import Candidate, Choices, check_choices, open_repository, satellite_job
from darts_train.preprocess.summary import PreprocessSummary
from darts_train.scenes.auxiliary import DEM, TRENDS
from darts_train.scenes.polygons import VECTOR_SUFFIXES
from darts_train.scenes.sentinel2 import (
    ALL_BANDS,
    BANDS,
    find_folders,
    images_of,
    label_file_of,
    open_folder,
    tile_id_of,
)
from darts_train.scenes.sentinel2_safe import SAFE, find_products, open_product

COMMAND = "preprocess-s2-train-data"


def preprocess_s2_train_data(
    sentinel2: Sentinel2,
    output: Output,
    patches: Patches,
    terrain: Terrain,
    labelling: Labelling = Labelling(),
    stac: Stac = Stac(),
    parallel: Parallel = Parallel(),
) -> PreprocessSummary:
    """Cut Sentinel-2 scenes with their labels, elevation and trends into a train data directory.

    Scenes are folders with *_SR*.tif and *_SCL*.tif, and unpacked SAFE products. With a STAC API, the scene that fits
    each footprint of the labels best is fetched first; what was fetched before is not asked for again.

    Raises:
        UserError: before anything is written where an option contradicts another, a source is missing, or no scene is
            left.
    """
    choices = Choices(
        "Sentinel-2", ALL_BANDS, sentinel2.bands, sentinel2.optical_range, sentinel2.mask_erosion_size,
        sentinel2.labels_dir, output, patches, terrain, labelling, parallel,
    )  # fmt: skip
    stack = check_choices(choices)
    if stac.stac_url is not None and _fetch(choices, sentinel2.sentinel2_dir, stac, stack) and output.dry_run:
        return PreprocessSummary(output.train_data_dir, 0, 0, 0, dry_run=True)
    root = require_directory(sentinel2.sentinel2_dir, "--sentinel2-dir")
    folders = [] if root.suffix == SAFE else find_folders(root)
    candidates = [_of_folder(folder, root) for folder in folders]
    candidates += [_of_product(safe, root) for safe in find_products(root)]
    if not candidates:
        raise UserError(f"--sentinel2-dir: no scene folder and no .SAFE product in {root}.")
    return run(satellite_job(candidates, choices, stack, COMMAND, sentinel2, stac))


def _of_folder(folder: Path, root: Path) -> Candidate:
    """The folder's name is the image id by which labels know the scene; a folder without an image keeps its name."""
    images = images_of(folder)
    scene_id = f"{folder.name}_{tile_id_of(images[0])}" if images else folder.name
    return Candidate(
        scene_id, folder.name, folder, root, lambda rasters: open_folder(folder, rasters), lambda: label_file_of(folder)
    )


def _of_product(safe: Path, root: Path) -> Candidate:
    """Labels lie beside a product, under its name."""
    beside = [safe.with_suffix(suffix) for suffix in VECTOR_SUFFIXES]
    labels = next((path for path in beside if path.is_file()), None)
    return Candidate(safe.stem, safe.stem, safe, root, lambda rasters: open_product(safe, rasters), lambda: labels)


def _fetch(choices: Choices, store: Path, stac: Stac, stack: FeatureStack) -> int:
    """Fill the store; how many scenes were (or, of a dry run, would be) fetched. UserError without footprints."""
    if choices.labels_dir is None:
        raise UserError("--stac-url: scenes are fetched for the footprints of labels; give --labels-dir.")
    sources = require_sources(stack.names, (*ALL_BANDS, *DEM, *TRENDS), "--bands, of Sentinel-2 scenes")
    needed = {name for sources_of_one in sources.values() for name in sources_of_one} & set(ALL_BANDS)
    bands = [name for name in ALL_BANDS if name in {*needed, *BANDS}]
    return fetch_matches(store, open_repository(choices), stac, bands, choices.output.dry_run)
