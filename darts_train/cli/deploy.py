"""Commands from a checkpoint to files that others run."""

from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show
from darts_train.options.exporting import Export
from darts_train.options.model_files import Convert
from darts_train.options.sidecars import Sidecars


@command(app, "Maps")
def convert_lightning_checkpoint(convert: Convert) -> None:
    """Make a model file of a checkpoint.

    One safe file with all that a map needs: weights, bands, ranges, classes, threshold.
    """
    from darts_train.export.convert import convert_lightning_checkpoint as run

    show(run(convert=convert))


@command(app, "Maps")
def export_model(export: Export, sidecars: Sidecars) -> None:
    """Export a model for other programs.

    The export is compared with the original before it is written.
    """
    from darts_train.export.export import export_model as run

    show(run(export=export, sidecars=sidecars))
