"""Commands that fetch elevation, trends and pretrained weights."""

from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show
from darts_train.options.downloading import ArcticDem, Area, EncoderWeights, Target, Tcvis


@command(app, "Train data")
def download_arcticdem(area: Area, target: Target, arctic_dem: ArcticDem) -> None:
    """Fetch elevation of an area.

    Tiles of the ArcticDEM mosaic from a STAC API, or from a COG; --arcticdem-dir reads the folder.
    """
    from darts_train.scenes.download_arcticdem import download_arcticdem as run

    show(run(area=area, target=target, arctic_dem=arctic_dem))


@command(app, "Train data")
def download_tcvis(area: Area, target: Target, tcvis: Tcvis) -> None:
    """Fetch trends of an area.

    Landsat trends from Google Earth Engine, which needs an account; --tcvis-dir reads the folder.
    """
    from darts_train.scenes.download_tcvis import download_tcvis as run

    show(run(area=area, target=target, tcvis=tcvis))


@command(app, "Learning")
def download_weights(encoder_weights: EncoderWeights) -> None:
    """Fetch pretrained weights of an encoder.

    For machines without a network: training takes them from the cache of the model hub's client.
    """
    from darts_train.models.download_weights import download_weights as run

    show(run(encoder_weights=encoder_weights))
