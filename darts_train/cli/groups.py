"""The command that says which samples belong together."""

from darts_train.cli.app import app
from darts_train.cli.expand import command
from darts_train.cli.output import show, show_json
from darts_train.options.grouping import Grouping
from darts_train.options.learning import Device
from darts_train.options.preprocessing import Inspect


@command(app, "Train data")
def group_train_data(inspect: Inspect, grouping: Grouping, device: Device) -> None:
    """Put samples of one place into one group.

    By footprints, by looks, by columns; group-stratified folds keep groups whole. Only the column group is written.
    """
    from darts_train.preprocess.grouping.groups import group_train_data as run

    report = run(inspect=inspect, grouping=grouping, device=device)
    if inspect.json:
        show_json(report)
    else:
        show(report)
