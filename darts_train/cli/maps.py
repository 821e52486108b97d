"""Commands that make maps of scenes."""

from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show
from darts_train.options.predicting import Devices, Maps, Predict, SceneFiles, Submission, Windows


@command(app, "Maps")
def predict(
    predict: Predict, scenes: SceneFiles, windows: Windows, maps: Maps, submission: Submission, devices: Devices
) -> None:
    """Map scenes with a model.

    Classes and probabilities as Cloud Optimized GeoTIFF, polygons as GeoPackage or GeoParquet, a quicklook as PNG.
    A call that was interrupted goes on where it stopped.
    """
    from darts_train.inference.predict import predict as run

    show(run(predict=predict, scenes=scenes, windows=windows, maps=maps, submission=submission, devices=devices))
