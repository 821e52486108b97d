"""How far searches are."""

from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show, show_json
from darts_train.options.learning import Artifacts
from darts_train.options.status import Status
from darts_train.options.tools import Listing


@command(app, "Learning")
def sweep_status(status: Status, artifacts: Artifacts, listing: Listing) -> None:
    """Show how far sweeps and tunes are.

    Counted in the database, on any machine that reaches it. Hours are those of one device.
    """
    from darts_train.experiments.status import sweep_status as run

    result = run(status=status, artifacts=artifacts)
    if listing.json:
        show_json(result)
    else:
        show(result)
