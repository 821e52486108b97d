"""Command of the report about what was trained."""

from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show
from darts_train.options.learning import Artifacts
from darts_train.options.report import Report


@command(app, "Learning")
def report(report: Report, artifacts: Artifacts) -> None:
    """Show what was trained, on a page.

    Of a run, a cross-validation, a tune or a sweep: scores and their doubt, curves, pictures, regions, and the
    command that repeats it. A search that is still going on is shown as far as it is.
    """
    from darts_train.reporting.report import report as run

    show(run(report=report, artifacts=artifacts))
