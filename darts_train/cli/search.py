"""Commands of many runs: cross-validation, tuning, sweeps."""

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
from darts_train.options.nested import Trust
from darts_train.options.pruning import Pruning
from darts_train.options.searching import CrossValidation, Repeats, Scoring, Sweep, Tune


@command(app, "Learning")
def cross_validation_smp(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    cross_validation: CrossValidation,
    repeats: Repeats,
    scoring: Scoring,
    trust: Trust,
    artifacts: Artifacts,
    device: Device,
    tracking: Tracking,
) -> None:
    """Score one configuration: folds by seeds.

    Leaves with exit code 1 where a run failed; called again under the same name, it goes on.
    """
    from darts_train.experiments.cross_validation import cross_validation_smp as run

    result = run(
        data=data,
        split=split,
        hyperparameters=hyperparameters,
        training=training,
        cross_validation=cross_validation,
        repeats=repeats,
        scoring=scoring,
        artifacts=artifacts,
        device=device,
        tracking=tracking,
        trust=trust,
    )
    show(result)
    if not result.complete:
        raise typer.Exit(1)


@command(app, "Learning")
def tune_smp(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    tune: Tune,
    pruning: Pruning,
    fleet: Fleet,
    keeping: Keeping,
    repeats: Repeats,
    scoring: Scoring,
    artifacts: Artifacts,
    device: Device,
    tracking: Tracking,
    config_file: Path | None,
) -> None:
    """Search for the best configuration.

    Every configuration is cross-validated.
    The search space is the hyperparameters table of --hpconfig, or of the configuration file.
    Leaves with exit code 1 where no configuration is the best, because all failed or are unstable.
    """
    from darts_train.experiments.tune import tune_smp as run

    if tune.hpconfig is None and has_space(config_file):
        tune = dataclasses.replace(tune, hpconfig=config_file)
    result = run(
        data=data,
        split=split,
        hyperparameters=hyperparameters,
        training=training,
        tune=tune,
        pruning=pruning,
        fleet=fleet,
        keeping=keeping,
        repeats=repeats,
        scoring=scoring,
        artifacts=artifacts,
        device=device,
        tracking=tracking,
    )
    show(result)
    if result.failed:
        raise typer.Exit(1)


@command(app, "Learning", defaults={"early_stopping_patience": 0, "scoring_metric": None})
def optuna_sweep_smp(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    sweep: Sweep,
    pruning: Pruning,
    fleet: Fleet,
    keeping: Keeping,
    repeats: Repeats,
    scoring: Scoring,
    artifacts: Artifacts,
    tracking: Tracking,
) -> None:
    """Start a sweep, or join one.

    Without a device the sweep is only made, and the line that joins it is shown. With a device its trials run
    there, one after the other. With --sweep-id the sweep of that name goes on. Leaves with exit code 1 where
    every trial has failed.
    """
    from darts_train.experiments.sweep import optuna_sweep_smp as run

    result = run(
        data=data,
        split=split,
        hyperparameters=hyperparameters,
        training=training,
        sweep=sweep,
        pruning=pruning,
        fleet=fleet,
        keeping=keeping,
        repeats=repeats,
        scoring=scoring,
        artifacts=artifacts,
        tracking=tracking,
    )
    show(result)
    if result.failed:
        raise typer.Exit(1)
