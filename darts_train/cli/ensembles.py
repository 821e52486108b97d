"""Commands that make one model of several, and that choose its threshold."""

from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show
from darts_train.options.ensembles import Calibrate, Ensemble


@command(app, "Maps")
def build_ensemble(ensemble: Ensemble) -> None:
    """Put networks together into one model file.

    The mean of their probabilities; weights and threshold are chosen out of fold.
    """
    from darts_train.export.ensemble import build_ensemble as run

    show(run(ensemble=ensemble))


@command(app, "Maps")
def calibrate_threshold(calibrate: Calibrate) -> None:
    """Choose a model's temperature and threshold.

    On the patches that validated it; a new model file and a reliability diagram.
    """
    from darts_train.export.calibrate import calibrate_threshold as run

    show(run(calibrate=calibrate))
