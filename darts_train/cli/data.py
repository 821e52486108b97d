"""Commands around train data: make them, check them, look at them."""

import dataclasses

from darts_train.base.errors import UserError
from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show, show_json
from darts_train.options.learning import Split
from darts_train.options.masking import Masking
from darts_train.options.pairing import Pairing
from darts_train.options.photos import Photos
from darts_train.options.preprocessing import (
    Describe,
    Inspect,
    Labelling,
    Output,
    Parallel,
    Patches,
    Planet,
    Raster,
    Sentinel2,
    Stac,
    Terrain,
)


@command(app, "Train data")
def preprocess_planet_train_data(
    planet: Planet, output: Output, patches: Patches, terrain: Terrain, labelling: Labelling, parallel: Parallel
) -> None:
    """Cut PLANET scenes into train data.

    PSScene and PSOrthoTile folders with UDM2, label polygons by image id, and optional elevation and trends.
    """
    from darts_train.preprocess.planet import preprocess_planet_train_data as run

    show(
        run(
            planet=planet,
            output=output,
            patches=patches,
            terrain=terrain,
            labelling=labelling,
            parallel=parallel,
        )
    )


@command(app, "Train data")
def preprocess_s2_train_data(
    sentinel2: Sentinel2,
    output: Output,
    patches: Patches,
    terrain: Terrain,
    labelling: Labelling,
    stac: Stac,
    parallel: Parallel,
) -> None:
    """Cut Sentinel-2 scenes into train data.

    Folders with SR and SCL files, SAFE products, or what a STAC API has for the footprints of the labels.
    """
    from darts_train.preprocess.sentinel2 import preprocess_s2_train_data as run

    show(
        run(
            sentinel2=sentinel2,
            output=output,
            patches=patches,
            terrain=terrain,
            labelling=labelling,
            stac=stac,
            parallel=parallel,
        )
    )


@command(app, "Train data")
def preprocess_raster_train_data(
    raster: Raster,
    pairing: Pairing,
    photos: Photos,
    output: Output,
    patches: Patches,
    masking: Masking,
    parallel: Parallel,
) -> None:
    """Cut images with labels into train data.

    Any raster with a label raster or polygons, listed in a table or found by equal stems in two directories.
    """
    from darts_train.preprocess.raster import preprocess_raster_train_data as run

    show(
        run(
            raster=raster,
            pairing=pairing,
            photos=photos,
            output=output,
            patches=patches,
            masking=masking,
            parallel=parallel,
        )
    )


@command(app, "Train data")
def validate_train_data(inspect: Inspect) -> None:
    """Check every patch of train data.

    Leaves with exit code 2 where something is wrong, and says what.
    """
    from darts_train.dataset.checks import validate_train_data as run

    report = run(inspect=inspect)
    if inspect.json:
        show_json(report)
    else:
        show(report)
    if not report.ok:
        raise UserError(f"{inspect.train_data_dir} is not sound: {len(report.problems)} problems, listed above.")


@command(app, "Train data")
def describe_train_data(inspect: Inspect, describe: Describe, split: Split, typed: frozenset[str]) -> None:
    """Show bands, classes, regions, splits.

    Tables, JSON, and with --page a page with histograms, a map and sample patches.
    The splits are those of the options below, or of the configuration file.
    """
    from darts_train.reporting.describe import describe_train_data as run

    asked = any(field.name in typed for field in dataclasses.fields(split))
    description = run(inspect=inspect, describe=describe, split=split, strict=asked)
    if inspect.json:
        show_json(description)
    else:
        show(description)
