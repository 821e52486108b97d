"""Commands of learning: one run, its test, what to beat, and the list of runs."""

from darts_train.cli.app import app
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
