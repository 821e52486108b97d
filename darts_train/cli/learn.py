"""Commands of learning: one run, its test, cross-validation, tuning, sweeps, and the list of runs."""

import dataclasses
from pathlib import Path

import typer

from darts_train.cli.app import app
from darts_train.cli.config_file import read_toml
from darts_train.cli.expand import command
from darts_train.cli.output import show, show_json
from darts_train.options.baseline import Baseline
from darts_train.options.learning import (
    Artifacts,
    Data,
    Device,
    Devices,
    Hyperparameters,
    Run,
    Split,
    Test,
    Tracking,
    Training,
)
from darts_train.options.searching import CrossValidation, Repeats, Scoring, Sweep, Tune
from darts_train.options.tools import Bench, Listing


@command(app, "Learning")
def train_smp(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    run: Run,
    artifacts: Artifacts,
    device: Device,
    devices: Devices,
    tracking: Tracking,
) -> None:
    """Train one network on one fold."""
    from darts_train.experiments.run import train_smp as train

    show(
        train(
            data=data,
            split=split,
            hyperparameters=hyperparameters,
            training=training,
            run=run,
            artifacts=artifacts,
            device=device,
            tracking=tracking,
            devices=devices,
        )
    )


@command(app, "Learning")
def bench(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    run: Run,
    artifacts: Artifacts,
    device: Device,
    devices: Devices,
    tracking: Tracking,
    measured: Bench,
    listing: Listing,
) -> None:
    """Measure what limits training.

    Takes all options of train-smp, so that its line can be given with another command; nothing is written.
    Of several devices the first is measured.
    """
    from darts_train.experiments.bench import bench as measure

    result = measure(
        data=data,
        split=split,
        hyperparameters=hyperparameters,
        training=training,
        run=run,
        device=device,
        devices=devices,
        measured=measured,
    )
    (show_json if listing.json else show)(result)


@command(app, "Learning")
def test_smp(test: Test, data: Data, split: Split, artifacts: Artifacts, device: Device, tracking: Tracking) -> None:
    """Test a trained network on the test part."""
    from darts_train.experiments.run import test_smp as run

    show(run(test=test, data=data, split=split, artifacts=artifacts, device=device, tracking=tracking))


@command(app, "Learning")
def cross_validation_smp(
    data: Data,
    split: Split,
    hyperparameters: Hyperparameters,
    training: Training,
    cross_validation: CrossValidation,
    repeats: Repeats,
    scoring: Scoring,
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

    if tune.hpconfig is None and _has_space(config_file):
        tune = dataclasses.replace(tune, hpconfig=config_file)
    result = run(
        data=data,
        split=split,
        hyperparameters=hyperparameters,
        training=training,
        tune=tune,
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
        repeats=repeats,
        scoring=scoring,
        artifacts=artifacts,
        tracking=tracking,
    )
    show(result)
    if result.failed:
        raise typer.Exit(1)


@command(app, "Learning")
def train_pixel_baseline(baseline: Baseline, data: Data, split: Split, artifacts: Artifacts) -> None:
    """Fit trees to pixels: what to beat."""
    from darts_train.experiments.pixel_baseline import train_pixel_baseline as run

    show(run(baseline=baseline, data=data, split=split, artifacts=artifacts))


@command(app, "Learning")
def list_runs(artifacts: Artifacts, listing: Listing) -> None:
    """List runs with their scores."""
    from darts_train.artifacts.listing import list_runs as run

    rows = run(artifacts=artifacts)
    if listing.json:
        show_json(rows)
    else:
        show(rows)


def _has_space(file: Path | None) -> bool:
    return file is not None and "hyperparameters" in read_toml(file)
