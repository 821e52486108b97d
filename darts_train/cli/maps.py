"""Commands that make maps of scenes."""

from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show
from darts_train.options.predicting import Maps, Predict, SceneFiles, Windows


@command(app, "Maps")
def predict(predict: Predict, scenes: SceneFiles, windows: Windows, maps: Maps) -> None:
    """Map scenes with a model.

    Classes and probabilities as GeoTIFF, polygons as GeoPackage, a quicklook as PNG.
    """
    from darts_train.inference.predict import predict as run

    show(run(predict=predict, scenes=scenes, windows=windows, maps=maps))
