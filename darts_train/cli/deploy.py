"""Commands from a checkpoint to a map."""

from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show
from darts_train.options.deploying import Convert, Export, Predict


@command(app, "Maps")
def convert_lightning_checkpoint(convert: Convert) -> None:
    """Make a model file of a checkpoint.

    One safe file with all that a map needs: weights, bands, ranges, classes, threshold.
    """
    from darts_train.export.convert import convert_lightning_checkpoint as run

    show(run(convert=convert))


@command(app, "Maps")
def export_model(export: Export) -> None:
    """Export a model for other programs.

    The export is compared with the original before it is written.
    """
    from darts_train.export.export import export_model as run

    show(run(export=export))


@command(app, "Maps")
def predict(predict: Predict) -> None:
    """Map scenes with a model.

    Classes and probabilities as GeoTIFF, polygons as GeoPackage, a quicklook as PNG.
    """
    from darts_train.inference.predict import predict as run

    show(run(predict=predict))
