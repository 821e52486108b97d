"""The command of nested cross-validation."""

import dataclasses
from pathlib import Path

import typer

from darts_train.cli.app import app
from darts_train.cli.config_file import has_space
from darts_train.cli.expand import command
from darts_train.cli.output import show
from darts_train.options.fleet import Fleet
from darts_train.options.keeping import Keeping
from darts_train.options.learning import Artifacts, Data, Device, Hyperparameters, Split, Tracking, Training
from darts_train.options.nested import Nested, Trust
from darts_train.options.pruning import Pruning
from darts_train.options.searching import Repeats, Scoring


@command(app, "Learning")
def nested_cross_validation_smp(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    nested: Nested,
    pruning: Pruning,
    fleet: Fleet,
    keeping: Keeping,
    repeats: Repeats,
    scoring: Scoring,
    trust: Trust,
    artifacts: Artifacts,
    device: Device,
    tracking: Tracking,
    config_file: Path | None,
) -> None:
    """Say what a search is worth.

    In each outer fold a search sees the rest of the data; its winner is trained again and tested on the outer fold.
    Folds whose parts share pixels are refused, unless --purge-overlap. Leaves with exit code 1 where an outer fold
    has no score; called again under the same name, it goes on.
    """
    from darts_train.experiments.nested import nested_cross_validation_smp as run

    if nested.hpconfig is None and has_space(config_file):
        nested = dataclasses.replace(nested, hpconfig=config_file)
    result = run(
        data=data,
        split=split,
        hyperparameters=hyperparameters,
        training=training,
        nested=nested,
        pruning=pruning,
        fleet=fleet,
        keeping=keeping,
        repeats=repeats,
        scoring=scoring,
        trust=trust,
        artifacts=artifacts,
        device=device,
        tracking=tracking,
    )
    show(result)
    if not result.complete:
        raise typer.Exit(1)
